/* The requests to send and the bytes that the body of each one's answer must begin with. */
#ifndef REQUESTS_H
#define REQUESTS_H
#include <stddef.h>

struct request {
    const char *bytes;
    size_t length;
    const char *expected;
    size_t expected_length;
};

struct requests {
    struct request *all;
    size_t count;
    size_t next; /* goes round */
};

/* Reads a file of (length, request, length, begin of the body), lengths as 32-bit little-endian numbers. */
int read_requests(const char *path, struct requests *requests);

/* Returns the next request, the first one after the last. */
const struct request *take_request(struct requests *requests);

#endif
