#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "connection.h"
#include "load.h"

enum { EVENTS = 1024 };
static const double SILENT_S = 60, CALM_S = 0.5;

/* Takes in answers until every connection has had its own or has ended; notes when each one came. */
static size_t await_all(struct order *order, int epoll, struct tally *tally, double *came_at) {
    struct epoll_event events[EVENTS];
    size_t left = order->connections, came = 0;
    for (double limit = now() + SILENT_S; left > 0 && now() < limit;) {
        int count = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < count; i++) {
            struct connection *one = events[i].data.ptr;
            size_t right = tally->right;
            enum heard heard = connection_hear(one, tally);
            if (tally->right > right) came_at[came++] = now();
            if (heard == HEARD_ANSWER) epoll_ctl(epoll, EPOLL_CTL_DEL, one->file, NULL);
            if (heard != HEARD_PART) left--;
        }
    }
    tally->broken += left;
    return came;
}

static int open_all(struct order *order, struct connection *connections, int epoll) {
    for (size_t i = 0; i < order->connections; i++)
        if (!connection_open(&connections[i], &order->server, epoll)) return 0;
    return 1;
}

static void print(struct tally *tally, double began, const double *came_at, size_t came) {
    printf("{\"began_at\": %.6f, \"came_at\": [", began);
    for (size_t i = 0; i < came; i++) printf("%s%.6f", i ? ", " : "", came_at[i]);
    printf("], ");
    tally_print(tally);
    printf("}\n");
}

int run_stampede(struct order *order) {
    struct connection *connections = calloc(order->connections, sizeof *connections);
    double *came_at = calloc(order->connections, sizeof *came_at);
    struct tally tally = {0};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || !came_at || epoll < 0 || !open_all(order, connections, epoll)) {
        fprintf(stderr, "load: not all connections could be opened\n");
        return FAILED;
    }
    usleep((useconds_t)(CALM_S * 1e6)); /* the server takes the last of them in */
    double began = now();
    for (size_t i = 0; i < order->connections; i++)
        if (!connection_ask(&connections[i], take_request(&order->requests))) tally.broken++;
    print(&tally, began, came_at, await_all(order, epoll, &tally, came_at));
    return FINE;
}
