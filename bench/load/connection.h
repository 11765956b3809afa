/* One keep-alive connection with at most one request under way. */
#ifndef CONNECTION_H
#define CONNECTION_H
#include <netinet/in.h>
#include <stddef.h>

#include "requests.h"
#include "tally.h"

enum { BUFFER = 65536 };

struct connection {
    int file;
    const struct request *asked; /* NULL while none is under way */
    double asked_at;
    size_t got;
    char bytes[BUFFER + 1];
};

enum heard { HEARD_PART, HEARD_ANSWER, HEARD_END };

/* The monotonic clock that all processes of the machine share, in seconds. */
double now(void);

/* Connects and has `epoll` watch it; 0 when that fails. */
int connection_open(struct connection *connection, const struct sockaddr_in *server, int epoll);

/* Sends a request; 0 when the connection does not take it. */
int connection_ask(struct connection *connection, const struct request *request);

/* Takes in what has come, and counts the answer once it is whole. After HEARD_END it must be opened again. */
enum heard connection_hear(struct connection *connection, struct tally *tally);

#endif
