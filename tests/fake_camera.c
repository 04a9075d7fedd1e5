/* A webcam that is not there: put before libc (LD_PRELOAD), it answers for the device $FAKE_CAMERA as a Video4Linux
 * driver would. The first letter of the file $FAKE_MODE says how it is: r(uns), s(ilent), d(amaged pictures), g(one),
 * b(usy), f(orbidden). It gives 30 pictures a second, YUYV up to 640x480 or the JPEG in $FAKE_JPEG up to 1280x720. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 4096
#define BUFFERS 4
#define ROOM (4 << 20)
#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

int fake_calls; /* how often the driver was asked for anything */
int fake_held;  /* pictures still held by the program when it let go of their memory */
static int writers[FILES]; /* the pipe's other end + 1 of each open file of the camera; a byte is a picture */
static int streaming, width = 640, height = 480, queued[BUFFERS];
static unsigned format = V4L2_PIX_FMT_YUYV;
static void *buffers[BUFFERS];
static char jpeg[1 << 20];
static size_t jpeg_size;

static int is_camera(int file) { return file >= 0 && file < FILES && writers[file]; }
static int fail(int number) { errno = number; return -1; }

static char mode(void) {
    char letter = 'r';
    int file = syscall(SYS_openat, AT_FDCWD, getenv("FAKE_MODE"), O_RDONLY); /* not stdio: this may be while it ends */
    if (file < 0) return letter;
    if (read(file, &letter, 1) < 0) letter = 'r';
    syscall(SYS_close, file);
    return letter;
}

static void *clock_pictures(void *none) {
    for (;;) {
        usleep(33333);
        if (streaming && mode() != 's')
            for (int file = 0; file < FILES; file++)
                if (writers[file] && write(writers[file] - 1, "p", 1) < 0) continue;
    }
    return none;
}

static int open_camera(int flags) {
    static pthread_t thread;
    int ends[2];
    char now = mode();
    if (now == 'g') return fail(ENODEV);
    if (now == 'f') return fail(EACCES);
    if (pipe2(ends, (flags & O_NONBLOCK) | O_CLOEXEC)) return -1;
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    writers[ends[0]] = ends[1] + 1;
    if (!thread) {
        FILE *file = fopen(getenv("FAKE_JPEG"), "rb");
        jpeg_size = fread(jpeg, 1, sizeof jpeg, file);
        fclose(file);
        pthread_create(&thread, NULL, clock_pictures, NULL);
    }
    return ends[0];
}

static int set_format(struct v4l2_pix_format *wish, int change) {
    if (change && mode() == 'b') return fail(EBUSY);
    if (change) {
        format = wish->pixelformat == V4L2_PIX_FMT_MJPEG ? V4L2_PIX_FMT_MJPEG : V4L2_PIX_FMT_YUYV;
        int most = format == V4L2_PIX_FMT_MJPEG ? 1280 : 640;
        width = wish->width && wish->width <= most ? wish->width : most;
        height = wish->width && wish->width <= most ? wish->height : most == 1280 ? 720 : 480;
    }
    wish->width = width, wish->height = height, wish->pixelformat = format, wish->field = V4L2_FIELD_NONE;
    wish->bytesperline = format == V4L2_PIX_FMT_YUYV ? width * 2 : 0, wish->sizeimage = width * height * 2;
    return 0;
}

static int dequeue(int file, struct v4l2_buffer *buffer) {
    char byte;
    int place = 0;
    if (read(file, &byte, 1) < 0) return -1; /* EAGAIN, where it may not wait */
    if (byte != 'p') return fail(EINVAL);    /* the stream was switched off meanwhile */
    while (place < BUFFERS && !queued[place]) place++;
    if (place == BUFFERS) return fail(EAGAIN);
    queued[place] = 0;
    buffer->index = place;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | (mode() == 'd' ? V4L2_BUF_FLAG_ERROR : 0);
    buffer->bytesused = format == V4L2_PIX_FMT_MJPEG ? jpeg_size : width * height * 2;
    if (format == V4L2_PIX_FMT_MJPEG) memcpy(buffers[place], jpeg, jpeg_size);
    else for (int at = 0; at < width * height * 2; at += 4) memcpy((char *)buffers[place] + at, "\x51\x5a\x51\xf0", 4);
    return 0;
}

static int answer(int file, unsigned request, void *argument) {
    fake_calls++;
    if (mode() == 'g') return fail(ENODEV);
    if (request == VIDIOC_QUERYCAP) {
        struct v4l2_capability *can = memset(argument, 0, sizeof *can);
        strcpy((char *)can->card, "Fake");
        can->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        can->capabilities = can->device_caps | V4L2_CAP_DEVICE_CAPS;
    } else if (request == VIDIOC_G_FMT || request == VIDIOC_S_FMT) {
        return set_format(&((struct v4l2_format *)argument)->fmt.pix, request == VIDIOC_S_FMT);
    } else if (request == VIDIOC_G_PARM || request == VIDIOC_S_PARM) {
        struct v4l2_captureparm *rate = &((struct v4l2_streamparm *)argument)->parm.capture;
        rate->capability = V4L2_CAP_TIMEPERFRAME;
        rate->timeperframe.numerator = 1, rate->timeperframe.denominator = 30;
    } else if (request == VIDIOC_REQBUFS) {
        ((struct v4l2_requestbuffers *)argument)->count = BUFFERS;
    } else if (request == VIDIOC_QUERYBUF) {
        struct v4l2_buffer *buffer = argument;
        buffer->length = width * height * 2, buffer->m.offset = buffer->index * ROOM;
    } else if (request == VIDIOC_QBUF) {
        queued[((struct v4l2_buffer *)argument)->index] = 1;
    } else if (request == VIDIOC_DQBUF) {
        return dequeue(file, argument);
    } else if (request == VIDIOC_STREAMON) {
        streaming = 1;
    } else if (request == VIDIOC_STREAMOFF) {
        streaming = 0;
        for (int place = 0; place < BUFFERS; place++) fake_held += !queued[place];
        return write(writers[file] - 1, "o", 1) < 0 ? -1 : 0; /* wakes who waits for a picture */
    } else if (request == VIDIOC_ENUMINPUT) {
        return ((struct v4l2_input *)argument)->index ? fail(EINVAL) : 0;
    } else if (request == VIDIOC_G_INPUT) {
        *(int *)argument = 0;
    } else if (request != VIDIOC_S_INPUT) {
        return fail(ENOTTY);
    }
    return 0;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int rights = va_arg(rest, int);
    va_end(rest);
    REAL(open64);
    return strcmp(path, getenv("FAKE_CAMERA")) ? real(path, flags, rights) : open_camera(flags);
}

int ioctl(int file, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    REAL(ioctl);
    return is_camera(file) && request != FIONBIO ? answer(file, request, argument) : real(file, request, argument);
}

void *mmap64(void *at, size_t length, int rights, int flags, int file, off64_t offset) {
    REAL(mmap64);
    if (!is_camera(file)) return real(at, length, rights, flags, file, offset);
    return buffers[offset / ROOM] = real(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

ssize_t readlink(const char *path, char *target, size_t room) {
    REAL(readlink);
    int file;
    if (sscanf(path, "/proc/self/fd/%d", &file) != 1 || !is_camera(file)) return real(path, target, room);
    size_t length = strlen(getenv("FAKE_CAMERA"));
    memcpy(target, getenv("FAKE_CAMERA"), length);
    return length;
}

int close(int file) {
    REAL(close);
    if (is_camera(file)) {
        int writer = writers[file] - 1;
        writers[file] = streaming = 0;
        real(writer);
    }
    return real(file);
}
