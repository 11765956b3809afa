/* Reads one HTTP/1.1 answer out of bytes as they come: by its length, or in chunks. */
#ifndef ANSWER_H
#define ANSWER_H
#include <stddef.h>

enum reading { ANSWER_PART, ANSWER_WHOLE, ANSWER_BROKEN };

struct answer {
    int status;
    int closes; /* the server ends the connection after it */
    char *body; /* inside the buffer; chunks have been joined in place */
    size_t body_length;
    size_t taken; /* of the buffer */
};

/* `bytes` must have room for one more at `length`. Chunks are joined in place once the answer is whole. */
enum reading read_answer(char *bytes, size_t length, struct answer *answer);

#endif
