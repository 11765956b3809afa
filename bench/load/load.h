/* What a run is told to do, and its two kinds. */
#ifndef LOAD_H
#define LOAD_H
#include <netinet/in.h>
#include <stddef.h>

#include "requests.h"

struct order {
    struct sockaddr_in server;
    struct requests requests;
    size_t connections;
    double warm_s;
    double burst_s;
    const char *watched; /* the server's process ids */
};

/* Every connection asks again once it is answered; prints the burst's figures. Returns the exit code. */
int run_burst(struct order *order);

/* Every connection is open and then asks once, all at the same time. Returns the exit code. */
int run_stampede(struct order *order);

enum { FINE = 0, FAILED = 1, WRONG_USAGE = 2 };

#endif
