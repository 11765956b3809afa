#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"

double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int connection_open(struct connection *connection, const struct sockaddr_in *server, int epoll) {
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (file < 0) return 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(file, (const struct sockaddr *)server, sizeof *server) ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event)) {
        close(file);
        return 0;
    }
    connection->file = file;
    connection->asked = NULL;
    connection->got = 0;
    return 1;
}

int connection_ask(struct connection *connection, const struct request *request) {
    connection->asked = request;
    connection->asked_at = now();
    connection->got = 0;
    ssize_t sent = send(connection->file, request->bytes, request->length, MSG_NOSIGNAL);
    return sent == (ssize_t)request->length;
}

static void count(struct tally *tally, const struct request *asked, const struct answer *answer,
                  double seconds) {
    if (answer->status != 200)
        tally->wrong_status++;
    else if (answer->body_length < asked->expected_length ||
             memcmp(answer->body, asked->expected, asked->expected_length) != 0)
        tally->wrong_body++;
    else
        tally_right(tally, seconds);
}

static enum heard ended(struct connection *connection, struct tally *tally) {
    if (connection->asked) tally->broken++;
    close(connection->file);
    return HEARD_END;
}

enum heard connection_hear(struct connection *connection, struct tally *tally) {
    size_t room = BUFFER - connection->got;
    ssize_t got = recv(connection->file, connection->bytes + connection->got, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return HEARD_PART;
    if (got <= 0 || !connection->asked) return ended(connection, tally);
    connection->got += (size_t)got;
    struct answer answer;
    enum reading reading = read_answer(connection->bytes, connection->got, &answer);
    if (reading == ANSWER_PART && connection->got < BUFFER) return HEARD_PART;
    if (reading != ANSWER_WHOLE || answer.taken != connection->got) return ended(connection, tally);
    count(tally, connection->asked, &answer, now() - connection->asked_at);
    connection->asked = NULL;
    return answer.closes ? ended(connection, tally) : HEARD_ANSWER;
}
