#define _GNU_SOURCE
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LONGEST_HEAD = 16384 };

/* Returns the value of a header whose line begins with `name` and a colon, or NULL. */
static char *header(char *head, char *end, const char *name) {
    size_t length = strlen(name);
    for (char *line = strstr(head, "\r\n"); line && line < end; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            line += length + 1;
            return line + strspn(line, " \t");
        }
    }
    return NULL;
}

/* Walks over the chunks; with `into` it also moves their contents there. Returns where they end, or NULL. */
static char *walk_chunks(char *at, char *end, char *into, size_t *joined, int *broken) {
    *joined = 0;
    for (;;) {
        char *line = memmem(at, (size_t)(end - at), "\r\n", 2), *stop;
        if (!line) return NULL;
        size_t size = strtoul(at, &stop, 16);
        if (stop == at || (*stop != '\r' && *stop != ';')) *broken = 1;
        char *contents = line + 2;
        if (*broken || size > (size_t)(end - contents) || (size_t)(end - contents) - size < 2) return NULL;
        if (into) memmove(into + *joined, contents, size);
        *joined += size;
        at = contents + size + 2;
        if (size == 0) return at;
    }
}

static enum reading read_chunks(char *body, char *end, struct answer *answer, char *bytes) {
    int broken = 0;
    char *after = walk_chunks(body, end, NULL, &answer->body_length, &broken);
    if (!after) return broken ? ANSWER_BROKEN : ANSWER_PART;
    walk_chunks(body, end, body, &answer->body_length, &broken);
    answer->taken = (size_t)(after - bytes);
    return ANSWER_WHOLE;
}

static enum reading read_length(char *body, char *end, char *value, struct answer *answer, char *bytes) {
    char *stop;
    answer->body_length = strtoul(value, &stop, 10);
    if (stop == value) return ANSWER_BROKEN;
    if ((size_t)(end - body) < answer->body_length) return ANSWER_PART;
    answer->taken = (size_t)(body - bytes) + answer->body_length;
    return ANSWER_WHOLE;
}

enum reading read_answer(char *bytes, size_t length, struct answer *answer) {
    bytes[length] = 0;
    char *head_end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!head_end) return length > LONGEST_HEAD ? ANSWER_BROKEN : ANSWER_PART;
    if (strncmp(bytes, "HTTP/1.1 ", 9) != 0) return ANSWER_BROKEN;
    answer->status = atoi(bytes + 9);
    char *connection = header(bytes, head_end, "connection");
    answer->closes = connection && strncasecmp(connection, "close", 5) == 0;
    answer->body = head_end + 4;
    char *value = header(bytes, head_end, "content-length");
    if (value) return read_length(answer->body, bytes + length, value, answer, bytes);
    value = header(bytes, head_end, "transfer-encoding");
    if (!value || strncasecmp(value, "chunked", 7) != 0) return ANSWER_BROKEN;
    return read_chunks(answer->body, bytes + length, answer, bytes);
}
