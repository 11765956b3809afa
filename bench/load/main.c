/* Sends requests over keep-alive connections and prints one JSON object of what came of it.
 *
 *   load burst    PORT REQUESTS CONNECTIONS FIRST WARM_MS BURST_MS PIDS
 *   load stampede PORT REQUESTS CONNECTIONS FIRST
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const char USAGE[] =
    "usage: load burst PORT REQUESTS CONNECTIONS FIRST WARM_MS BURST_MS PIDS\n"
    "       load stampede PORT REQUESTS CONNECTIONS FIRST\n";

static int read_order(struct order *order, char **words) {
    order->server.sin_family = AF_INET;
    order->server.sin_port = htons((unsigned short)atoi(words[2]));
    inet_pton(AF_INET, "127.0.0.1", &order->server.sin_addr);
    order->connections = strtoul(words[4], NULL, 10);
    if (!read_requests(words[3], &order->requests)) return 0;
    order->requests.next = strtoul(words[5], NULL, 10) % order->requests.count;
    return order->connections > 0;
}

int main(int count, char **words) {
    struct order order = {0};
    int burst = count == 9 && strcmp(words[1], "burst") == 0;
    int stampede = count == 6 && strcmp(words[1], "stampede") == 0;
    if (!burst && !stampede) {
        fputs(USAGE, stderr);
        return WRONG_USAGE;
    }
    if (!read_order(&order, words)) {
        fprintf(stderr, "load: %s cannot be read as requests, or no connection is to be made\n", words[3]);
        return WRONG_USAGE;
    }
    if (stampede) return run_stampede(&order);
    order.warm_s = atof(words[6]) / 1e3;
    order.burst_s = atof(words[7]) / 1e3;
    order.watched = words[8];
    return run_burst(&order);
}
