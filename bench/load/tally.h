/* What came of the requests: how many, how long each took, how many answers were not what they should be. */
#ifndef TALLY_H
#define TALLY_H
#include <stddef.h>

struct tally {
    size_t right;        /* 200 and the body that was expected */
    size_t wrong_status; /* any other status */
    size_t wrong_body;   /* 200 with another body: possibly somebody else's token */
    size_t broken;       /* a connection that ended, or no HTTP */
    double *seconds;     /* of the right ones */
    size_t room;
};

void tally_right(struct tally *tally, double seconds);

/* Forgets what was counted so far. */
void tally_restart(struct tally *tally);

/* Returns the time that this share of the right answers took at most; 0 when there are none. Sorts. */
double tally_at(struct tally *tally, double share);

/* Prints the counts and the times as members of a JSON object, without the braces. */
void tally_print(struct tally *tally);

#endif
