/* Before libc: notes in the file $SOCKETS what a process, or a library in it, asks of the network. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void note(const char *what, const char *to)
{
    char line[256];
    int length = snprintf(line, sizeof line, "%s %s\n", what, to);
    int file = open(getenv("SOCKETS"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file < 0 || write(file, line, length) != length)
        abort();
    close(file);
}

static void note_address(const char *what, const struct sockaddr *to)
{
    char text[INET6_ADDRSTRLEN] = "?";
    if (to && to->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)to)->sin_addr, text, sizeof text);
    else if (to && to->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)to)->sin6_addr, text, sizeof text);
    else
        return; /* a socket of this computer's own, in the file system */
    note(what, text);
}

int socket(int family, int type, int protocol)
{
    if (family == AF_INET || family == AF_INET6)
        note("socket", family == AF_INET ? "4" : "6");
    return ((int (*)(int, int, int))dlsym(RTLD_NEXT, "socket"))(family, type, protocol);
}

int connect(int socket, const struct sockaddr *to, socklen_t length)
{
    note_address("connect", to);
    return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect"))(socket, to, length);
}

int bind(int socket, const struct sockaddr *to, socklen_t length)
{
    note_address("bind", to);
    return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind"))(socket, to, length);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
    if (to)
        note_address("send", to);
    return ((ssize_t (*)(int, const void *, size_t, int, const struct sockaddr *, socklen_t))dlsym(
        RTLD_NEXT, "sendto"))(socket, data, size, flags, to, length);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    note("look up", name ? name : "-");
    return ((int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
        RTLD_NEXT, "getaddrinfo"))(name, service, hints, found);
}
