/* agentdiff hook client: the same as hook_client.pl, compiled at install time where there is a C compiler.
 *
 * Every tool call of every agent pays for this program: as a static binary it costs 0.5 ms, the script in
 * perl 1.8 ms.  It never fails the agent: it exits 0 whatever happens and prints nothing but what the daemon
 * wants the agent to read.
 *
 *     agentdiff-hook AGENT [--socket PATH] [--state DIR]
 *
 * The three @...@ words stand for string literals.  Protocol: doc/protocol.md, hook.sock.
 */
#define _GNU_SOURCE /* struct ucred */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIVE_UP_AFTER_S 12
#define FALL_BACK_WITHIN_S 14 /* longer than the Python client takes; agents wait for 15 s */

static const char *python = @PYTHON@;
static const char *agent = "", *socket_path = @SOCKET@, *state = @STATE@;

struct buffer {
  char *data;
  size_t used, size;
};

static void leave(int number) {
  (void)number;
  _exit(0);
}

static void write_all(int to, const char *data, size_t length) {
  while (length > 0) {
    ssize_t written = write(to, data, length);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    data += written;
    length -= (size_t)written;
  }
}

/* Reads once; returns what read() returned. */
static ssize_t read_some(int from, struct buffer *into) {
  ssize_t got;
  if (into->size - into->used < 65536) {
    into->size = into->size * 2 + 131072;
    into->data = realloc(into->data, into->size);
    if (into->data == NULL) _exit(0);
  }
  do {
    got = read(from, into->data + into->used, into->size - into->used);
  } while (got < 0 && errno == EINTR);
  if (got > 0) into->used += (size_t)got;
  return got;
}

enum { NAME_BYTES = 201 };

/* Copies what may stand in a header; anything else becomes an underscore. */
static void name_safely(char *to, const char *from) {
  size_t at;
  for (at = 0; from && from[at] && at < NAME_BYTES - 1; at++)
    to[at] = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", from[at]) ? from[at] : '_';
  to[at] = 0;
}

/* Whether this user answers, or root: a folder that others may write to could hold their socket.  What an agent
 * says is not for them. */
static int is_ours(int daemon_fd) {
#ifdef __linux__
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(daemon_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return 0;
  return peer.uid == geteuid() || peer.uid == 0;
#else
  uid_t user;
  gid_t group;
  return getpeereid(daemon_fd, &user, &group) == 0 && (user == geteuid() || user == 0);
#endif
}

/* Sends header and payload and reads the line of the answer; 0 when there is no daemon to give one. */
static int ask(const struct buffer *payload, struct buffer *answer) {
  struct sockaddr_un address;
  char header[640], name[NAME_BYTES], run[NAME_BYTES];
  int length, daemon_fd;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (strlen(socket_path) >= sizeof address.sun_path) return 0;
  strcpy(address.sun_path, socket_path);
  daemon_fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (daemon_fd < 0 || connect(daemon_fd, (struct sockaddr *)&address, sizeof address) != 0) return 0;
  if (!is_ours(daemon_fd)) return 0;
  name_safely(name, agent);
  name_safely(run, getenv("AGENTDIFF_SESSION")); /* set by `agentdiff run` for everything inside it */
  length = snprintf(header, sizeof header,
                    "{\"proto\":1,\"min_proto\":1,\"agent\":\"%s\",\"len\":%lu,\"within\":\"%s\"}\n", name,
                    (unsigned long)payload->used, run);
  write_all(daemon_fd, header, (size_t)length);
  write_all(daemon_fd, payload->data, payload->used); /* when it stops half-way, the answer says why */
  while (answer->used == 0 || memchr(answer->data, '\n', answer->used) == NULL)
    if (read_some(daemon_fd, answer) <= 0) return 0;
  return 1;
}

/* Writes the UTF-8 of one UTF-16 unit; the daemon escapes control characters only, so that there are no pairs. */
static char *put_character(char *to, unsigned unit) {
  if (unit < 0x80) {
    *to++ = (char)unit;
  } else if (unit < 0x800) {
    *to++ = (char)(0xC0 | unit >> 6);
    *to++ = (char)(0x80 | (unit & 0x3F));
  } else {
    *to++ = (char)(0xE0 | unit >> 12);
    *to++ = (char)(0x80 | (unit >> 6 & 0x3F));
    *to++ = (char)(0x80 | (unit & 0x3F));
  }
  return to;
}

/* Prints the text for the agent: the JSON string after "print":.  A quote inside of any string has a backslash
 * before it, so that the key cannot be found inside of one. */
static void print_text(struct buffer *answer) {
  static const char key[] = "\"print\":\"", plain[] = "n\nt\tr\rb\bf\f";
  const char *from, *found;
  char *to, digits[5] = "";
  answer->data[answer->used - 1] = '\0'; /* the line feed; JSON has no NUL */
  from = strstr(answer->data, key);
  if (from == NULL) return;
  from += sizeof key - 1;
  to = answer->data; /* what is unescaped is never longer */
  while (*from != '\0' && *from != '"') {
    if (*from != '\\') {
      *to++ = *from++;
    } else if (from[1] == 'u' && strlen(from) >= 6) {
      memcpy(digits, from + 2, 4);
      to = put_character(to, (unsigned)strtoul(digits, NULL, 16));
      from += 6;
    } else if (from[1] != '\0') {
      for (found = plain; *found != '\0' && *found != from[1]; found += 2) continue;
      *to++ = *found != '\0' ? found[1] : from[1];
      from += 2;
    } else {
      break;
    }
  }
  write_all(1, answer->data, (size_t)(to - answer->data));
}

/* Lets the Python client start a daemon, or keep the payload for later; returns when it has ended.
 *
 * It is a child, so that whatever becomes of it (a Python that was replaced and has no agentdiff) is not our exit code. */
static void fall_back(const struct buffer *payload) {
  /* -E and -P: neither the agent's PYTHONPATH nor the current folder may provide modules. */
  const char *command[] = {python, "-E", "-P", "-m", "agentdiff", "hook", agent, "--socket", socket_path, "--state",
                           state, NULL};
  int ends[2];
  pid_t child;
  if (pipe(ends) != 0) return;
  child = fork();
  if (child < 0) return;
  if (child == 0) {
    close(ends[1]);
    if (dup2(ends[0], 0) < 0) _exit(0);
    if (ends[0] != 0) close(ends[0]);
    signal(SIGPIPE, SIG_DFL);
    execv(python, (char *const *)command);
    _exit(0);
  }
  alarm(FALL_BACK_WITHIN_S);
  close(ends[0]);
  write_all(ends[1], payload->data, payload->used);
  close(ends[1]);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
}

int main(int argc, char **argv) {
  struct buffer payload = {NULL, 0, 0}, answer = {NULL, 0, 0};
  const int numbers[] = {SIGALRM, SIGINT, SIGTERM, SIGHUP};
  size_t at;
  int word;
  if (argc == 2 && strcmp(argv[1], "--probe") == 0) { /* the installer wants to know whether it runs at all */
    write_all(1, "agentdiff hook client\n", 22);
    _exit(0);
  }
  for (at = 0; at < sizeof numbers / sizeof *numbers; at++) signal(numbers[at], leave);
  signal(SIGPIPE, SIG_IGN);
  alarm(GIVE_UP_AFTER_S);
  for (word = 1; word < argc; word++) {
    if (strcmp(argv[word], "--socket") == 0 && word + 1 < argc)
      socket_path = argv[++word];
    else if (strcmp(argv[word], "--state") == 0 && word + 1 < argc)
      state = argv[++word];
    else
      agent = argv[word];
  }
  while (read_some(0, &payload) > 0) continue;
  if (ask(&payload, &answer))
    print_text(&answer);
  else
    fall_back(&payload);
  _exit(0);
}
