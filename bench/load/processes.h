/* How much processor time other processes have had, all their threads together. */
#ifndef PROCESSES_H
#define PROCESSES_H

/* Returns the sum in seconds over a comma-separated list of process ids; one that is gone counts nothing. */
double cpu_seconds(const char *pids);

#endif
