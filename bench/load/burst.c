#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "connection.h"
#include "load.h"
#include "processes.h"

enum { EVENTS = 256 };
static const double SILENT_S = 10, MOST_BROKEN = 1000;

static double own_cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Asks, on a new connection where the old one does not take it. */
static int ask(struct order *order, struct connection *connection, int epoll, struct tally *tally) {
    if (connection_ask(connection, take_request(&order->requests))) return 1;
    tally->broken++;
    close(connection->file);
    return connection_open(connection, &order->server, epoll) &&
           connection_ask(connection, take_request(&order->requests));
}

static int ask_again(struct order *order, struct connection *connection, int epoll, struct tally *tally) {
    switch (connection_hear(connection, tally)) {
        case HEARD_PART:
            return 1;
        case HEARD_END:
            return connection_open(connection, &order->server, epoll) && ask(order, connection, epoll, tally);
        default:
            return ask(order, connection, epoll, tally);
    }
}

static int has_heard(const struct tally *tally) {
    return tally->right + tally->wrong_status + tally->wrong_body > 0;
}

/* Keeps all connections busy until an instant, and until something is answered; 0 if the server is silent. */
static int keep_asking(struct order *order, int epoll, struct tally *tally, double until) {
    struct epoll_event events[EVENTS];
    double heard_at = now();
    while (now() < until || !has_heard(tally)) {
        int count = epoll_wait(epoll, events, EVENTS, 20);
        if (count > 0) heard_at = now();
        if (now() - heard_at > SILENT_S || (double)tally->broken > MOST_BROKEN) return 0;
        for (int i = 0; i < count; i++)
            if (!ask_again(order, events[i].data.ptr, epoll, tally)) return 0;
    }
    return 1;
}

static int begin(struct order *order, struct connection *connections, int epoll, struct tally *tally) {
    for (size_t i = 0; i < order->connections; i++)
        if (!connection_open(&connections[i], &order->server, epoll)) return 0;
    for (size_t i = 0; i < order->connections; i++)
        if (!ask(order, &connections[i], epoll, tally)) return 0;
    return 1;
}

static int failed(const struct tally *tally) {
    if (tally->broken)
        fprintf(stderr, "load: %zu requests were answered by an end, by no HTTP or more than once\n",
                tally->broken);
    else
        fprintf(stderr, "load: the server does not take connections, or does not answer\n");
    return FAILED;
}

int run_burst(struct order *order) {
    struct connection *connections = calloc(order->connections, sizeof *connections);
    struct tally tally = {0};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || epoll < 0 || !begin(order, connections, epoll, &tally) ||
        !keep_asking(order, epoll, &tally, now() + order->warm_s)) {
        return failed(&tally);
    }
    tally_restart(&tally);
    double cpu = cpu_seconds(order->watched), own = own_cpu(), began = now();
    int answered = keep_asking(order, epoll, &tally, began + order->burst_s);
    double seconds = now() - began;
    cpu = cpu_seconds(order->watched) - cpu;
    own = own_cpu() - own;
    if (!answered) return failed(&tally);
    printf("{\"seconds\": %.6f, \"server_cpu_s\": %.6f, \"own_cpu_s\": %.6f, \"next\": %zu, ", seconds, cpu,
           own, order->requests.next);
    tally_print(&tally);
    printf("}\n");
    return FINE;
}
