/* agentdiff launcher: the same as launcher.pl, compiled where there is a C compiler (install/launcher.py).
 *
 * Every command of a traced run pays for this program: as a static binary it starts in half a millisecond, the
 * script in perl in two, and its fork has next to nothing to copy.  What it does and why is said in the script and
 * in doc/trace.md; here stands only what differs.
 *
 * Nothing in it belongs to one run, so that it is compiled once for all of them: it knows its folder by the path that
 * it was executed by, and beside that folder the link `switch` leads to the file that `agentdiff trace off` makes.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/prctl.h>
#elif defined(__APPLE__)
#include <mach-o/dyld.h>
#else
#error "how a program finds its own path is not known here: the script serves"
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS has SO_NOSIGPIPE instead */
#endif

extern char **environ;

static const int caught[] = {SIGINT, SIGQUIT, SIGTSTP, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM};
enum { WAIT_S = @WAIT@, SETTLE_NS = 20 * 1000 * 1000, MOST_FOLDERS = 64, CAUGHT = sizeof caught / sizeof *caught };

static const char *tool; /* the name of this file, which is the program's */
static char *own_folder;
static char *real;   /* the program that would be found without launchers; NULL for none */
static char **words; /* of the command; the first one is the name that it was called by */
static struct stat skipped[MOST_FOLDERS];
static const char *skipped_names[MOST_FOLDERS];
static int skips, daemon_fd = -1;
static int waits; /* whether the supervisor wants to see what was written before we end */
static char *said;
static volatile pid_t child;

/* Says "who: what" in one piece and exits. */
static void leave(int code, const char *who, const char *what) {
  char *parts[] = {(char *)who, ": ", (char *)what, "\n"};
  struct iovec line[4];
  for (int at = 0; at < 4; at++) line[at] = (struct iovec){parts[at], strlen(parts[at])};
  if (writev(2, line, 4) < 0) _exit(code); /* nobody has to listen */
  _exit(code);
}

static void *need(void *memory) {
  if (memory == NULL) leave(126, tool, "out of memory");
  return memory;
}

/* Finds out by which path we were executed, and from which folder. */
static void find_ourselves(const char *called) {
  const char *own_path, *slash;
#ifdef __APPLE__
  static char place[4096];
  uint32_t size = sizeof place;
  own_path = _NSGetExecutablePath(place, &size) == 0 ? place : called;
#else
  own_path = (const char *)getauxval(AT_EXECFN);
  if (own_path == NULL || strncmp(own_path, "/dev/fd/", 8) == 0) own_path = called; /* fexecve */
#endif
  slash = strrchr(own_path, '/');
  tool = slash == NULL ? own_path : slash + 1;
  own_folder = need(strdup(own_path));
  own_folder[slash == NULL ? 0 : slash - own_path] = '\0';
}

/* Returns "folder/name"; only so much of the folder's name counts. */
static char *joined(const char *folder, size_t length, const char *name) {
  char *path = need(malloc(length + 1 + strlen(name) + 1));
  memcpy(path, folder, length);
  path[length] = '/';
  strcpy(path + length + 1, name);
  return path;
}

/* Whether `agentdiff trace off` was said.  The link is there, and leads nowhere, while it was not. */
static int is_off(void) {
  char *link = joined(own_folder, strlen(own_folder), "../switch");
  struct stat status;
  return lstat(link, &status) != 0 || stat(link, &status) == 0;
}

/* Folders are compared as such, not by their names: a link may lead to one. */
static void skip(const char *folder) {
  if (skips < MOST_FOLDERS && stat(folder, &skipped[skips]) == 0) skipped_names[skips++] = folder;
}

static int is_skipped(const struct stat *folder) {
  for (int at = 0; at < skips; at++)
    if (skipped[at].st_dev == folder->st_dev && skipped[at].st_ino == folder->st_ino) return 1;
  return 0;
}

/* Reads SHIM_ACTIVE and takes it away; returns whether it names the exec of this tool in this process. */
static int is_again(void) {
  const char *active = getenv("SHIM_ACTIVE"), *name, *pid, *folder;
  char *rest;
  if (active == NULL) return 0;
  rest = need(strdup(active));
  unsetenv("SHIM_ACTIVE");
  name = strsep(&rest, ":");
  pid = strsep(&rest, ":");
  if (pid == NULL || atol(pid) != (long)getpid()) return 0;
  while ((folder = strsep(&rest, ":")) != NULL) skip(folder);
  return strcmp(name, tool) == 0;
}

/* Returns the program's path in a folder of the PATH, NULL when it is not there. */
static char *look_in(const char *folder, size_t length) {
  struct stat status;
  char *place;
  int usable;
  if (length == 0) {
    folder = ".";
    length = 1;
  }
  while (length > 1 && folder[length - 1] == '/') length--;
  place = joined(folder, length, tool);
  place[length] = '\0';
  usable = stat(place, &status) == 0 && !is_skipped(&status);
  place[length] = '/';
  if (usable && stat(place, &status) == 0 && S_ISREG(status.st_mode) && access(place, X_OK) == 0) return place;
  free(place);
  return NULL;
}

/* Returns the program that would have been found without launchers, NULL for none. */
static char *find(void) {
  const char *path = getenv("PATH");
  char *place = NULL;
  if (path == NULL) path = getenv("ORIGINAL_PATH");
  if (path == NULL || *path == '\0') return NULL;
  while (place == NULL) {
    size_t length = strcspn(path, ":");
    place = look_in(path, length);
    if (path[length] == '\0') break;
    path += length + 1;
  }
  return place;
}

/* Reads one line of the supervisor, which may be stopped by a Ctrl-Z: nobody waits for that. */
static int hear(void) {
  size_t used = 0, size = 4096;
  said = need(malloc(size));
  for (;;) {
    ssize_t got;
    char *end;
    if (size - used < 2) said = need(realloc(said, size *= 2));
    got = read(daemon_fd, said + used, size - used - 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return 0;
    used += (size_t)got;
    end = memchr(said, '\n', used);
    if (end == NULL) continue;
    *end = '\0';
    return 1;
  }
}

static int send_all(const char *data, size_t length) {
  while (length > 0) {
    ssize_t sent = send(daemon_fd, data, length, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return 0;
    data += sent;
    length -= (size_t)sent;
  }
  return 1;
}

/* Reports the wait status; waits until what the program wrote has been seen, when it may have written. */
static void answer(int status, const char *more) {
  char line[64];
  int length = snprintf(line, sizeof line, "%d%s\n", status, more);
  if (daemon_fd >= 0 && send_all(line, (size_t)length) && waits) hear();
}

static void missing(void) {
  answer(127 << 8, "");
  leave(127, tool, "command not found");
}

/* Returns the name that the program is given. */
static char *given_name(void) {
  size_t stem = strncmp(tool, "python", 6) == 0 ? 6 : strncmp(tool, "pypy", 4) == 0 ? 4 : 0;
  if (stem > 0 && tool[stem + strspn(tool + stem, "0123456789.")] == '\0') return real;
  /* One of the caller's choice (`exec -a`) does not reach a script; here it can be passed on. */
  return *words[0] != '\0' && strchr(words[0], '/') == NULL ? words[0] : (char *)tool;
}

/* Becomes the real program; nothing is reported. */
static void become(void) {
  char *active, *to;
  size_t length = strlen(tool) + 64;
  if (real == NULL) missing();
  for (int at = 0; at < skips; at++) length += strlen(skipped_names[at]) + 1;
  active = need(malloc(length));
  to = active + sprintf(active, "SHIM_ACTIVE=%s:%ld", tool, (long)getpid());
  for (int at = 0; at < skips; at++) to += sprintf(to, ":%s", skipped_names[at]);
  putenv(active);
  words[0] = given_name();
  execvp(real, words); /* its path has a slash: nothing is looked up; a script without a first line is sh's */
  leave(errno == ENOENT ? 127 : 126, tool, strerror(errno));
}

static int connected(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct timeval patience = {WAIT_S, 0};
  int fd;
  if (strlen(path) >= sizeof address.sun_path) return 0;
  strcpy(address.sun_path, path);
  fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return 0;
  daemon_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* not in the place of a standard one that is closed */
  close(fd);
  if (daemon_fd < 0) return 0;
  setsockopt(daemon_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* also of connect */
  setsockopt(daemon_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
#ifdef SO_NOSIGPIPE
  setsockopt(daemon_fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
  return connect(daemon_fd, (struct sockaddr *)&address, sizeof address) == 0;
}

/* Appends a word and a NUL, or only measures that. */
static size_t put(char *text, size_t at, const char *word) {
  size_t length = strlen(word) + 1;
  if (text != NULL) memcpy(text + at, word, length);
  return at + length;
}

/* Writes the facts, the words and, where asked for, the environment; returns their length. */
static size_t describe(char *text, int count) {
  const char *where = getenv("PWD"), *parent = getenv("AGENTDIFF_TRACE_PARENT"), *all = getenv("AGENTDIFF_TRACE_ENV");
  struct stat output;
  char numbers[3][24];
  size_t used;
  snprintf(numbers[0], sizeof numbers[0], "%ld", (long)getpid());
  snprintf(numbers[1], sizeof numbers[1], "%ld", (long)getppid());
  snprintf(numbers[2], sizeof numbers[2], "%d", count);
  used = put(text, 0, tool);
  used = put(text, used, real == NULL ? "" : real);
  used = put(text, used, where == NULL ? "" : where);
  used = put(text, used, numbers[0]);
  used = put(text, used, numbers[1]);
  used = put(text, used, isatty(0) ? "1" : "0");
  used = put(text, used, fstat(1, &output) == 0 && S_ISREG(output.st_mode) ? "1" : "0");
  used = put(text, used, parent == NULL ? "" : parent);
  used = put(text, used, numbers[2]);
  for (char **one = words + 1; *one != NULL; one++) used = put(text, used, *one);
  if (all != NULL && *all != '\0' && strcmp(all, "0") != 0)
    for (char **one = environ; *one != NULL; one++) used = put(text, used, *one);
  return used;
}

/* Tells the supervisor what is about to run; returns whether it answered. */
static int ask(const char *socket_path) {
  char size[24], *text;
  size_t length, digits;
  int count = 0;
  while (words[count + 1] != NULL) count++;
  if (!connected(socket_path)) return 0;
  length = describe(NULL, count);
  digits = (size_t)snprintf(size, sizeof size, "%lu\n", (unsigned long)length);
  text = need(malloc(digits + length));
  memcpy(text, size, digits);
  describe(text + digits, count);
  return send_all(text, digits + length) && hear();
}

/* Whether a signal came from the terminal, which has sent it to the child as well. */
static int from_terminal(int number) {
  int terminal, foreground;
  if (number != SIGINT && number != SIGQUIT && number != SIGTSTP) return 0;
  terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
  if (terminal < 0) return 0;
  foreground = tcgetpgrp(terminal) == getpgrp();
  close(terminal);
  return foreground;
}

static void pass_on(int number) {
  int kept = errno;
  if (child > 0 && !from_terminal(number)) kill(child, number);
  errno = kept;
}

/* Waits for the child; stops when it stops, so that the shell sees a stopped job.  Returns the wait status. */
static int reap(pid_t pid) {
  const struct timespec settle = {0, SETTLE_NS};
  int status, now;
  for (;;) {
    pid_t again = waitpid(pid, &status, WUNTRACED);
    if (again < 0 && errno == EINTR) continue;
    if (again < 0) return 255 << 8; /* somebody else took its status */
    if (!WIFSTOPPED(status)) return status;
    /* Whoever stopped the whole group has stopped us too; when we are here because of `fg`, the child goes on. */
    nanosleep(&settle, NULL);
    again = waitpid(pid, &now, WNOHANG | WUNTRACED | WCONTINUED);
    if (again < 0 || (again == pid && WIFCONTINUED(now))) continue;
    if (again == pid && !WIFSTOPPED(now)) return now;
    /* Only now, after the child: a full-screen program that gets a Ctrl-Z first puts the terminal in order. */
    kill(getpid(), SIGSTOP);
    kill(pid, SIGCONT);
  }
}

/* Ends as the program has ended. */
static void end_as(int status) {
  const struct rlimit none = {0, 0};
  sigset_t only;
  int number = status & 127;
  if (number == 0) _exit(status >> 8 & 255);
  setrlimit(RLIMIT_CORE, &none); /* one core is enough, and it is not ours */
  signal(number, SIG_DFL);
  sigemptyset(&only);
  sigaddset(&only, number);
  sigprocmask(SIG_UNBLOCK, &only, NULL);
  kill(getpid(), number);
  _exit(128 + number);
}

/* Runs the real program as a child, in our process group: the terminal's signals reach it without us. */
static void run(char *id) {
  struct sigaction action = {.sa_handler = SIG_DFL}, old[CAUGHT], old_child;
  struct stat before, after;
  sigset_t all, mask;
  pid_t me = getpid(), pid;
  char more[32] = "";
  int status, kept = fstat(2, &before) == 0 && S_ISREG(before.st_mode);
  sigfillset(&all); /* none may be lost between the fork and the handlers' knowing whom to pass it to */
  sigprocmask(SIG_SETMASK, &all, &mask);
  sigaction(SIGCHLD, &action, &old_child); /* an ignored one would take the status with it */
  action.sa_handler = pass_on;
  for (int at = 0; at < CAUGHT; at++) {
    sigaction(caught[at], NULL, &old[at]);
    if (old[at].sa_handler != SIG_IGN) sigaction(caught[at], &action, NULL);
  }
  pid = fork();
  if (pid <= 0) {
    for (int at = 0; at < CAUGHT; at++) sigaction(caught[at], &old[at], NULL);
    sigaction(SIGCHLD, &old_child, NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    if (pid == 0) {
#ifdef __linux__
      /* Nothing can pass SIGKILL on; Linux ends the program with us, as if it had been hit. */
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != me) _exit(0);
#endif
      setenv("AGENTDIFF_TRACE_PARENT", id, 1);
    }
    become();
  }
  child = pid;
  sigprocmask(SIG_SETMASK, &mask, NULL);
  status = reap(pid);
  child = 0; /* its number may become another's */
  if (kept && fstat(2, &after) == 0 && S_ISREG(after.st_mode))
    snprintf(more, sizeof more, "\t%lld", (long long)after.st_size - (long long)before.st_size);
  answer(status, more);
  end_as(status);
}

int main(int argc, char **argv) {
  static char *nothing[] = {"", NULL};
  char *socket_path = getenv("AGENTDIFF_TRACE"), *verb, *id;
  int again;
  words = argc > 0 ? argv : nothing;
  find_ourselves(words[0]);
  if (strcmp(tool, "agentdiff-launcher") == 0) /* the builder wants to know whether it runs and finds itself */
    _exit(write(1, tool, strlen(tool)) < 0);
  skip(own_folder);
  again = is_again();
  real = find();
  if (again || socket_path == NULL || is_off() || !ask(socket_path)) become();
  verb = strsep(&said, " ");
  id = strsep(&said, " ");
  if (said == NULL) become();
  waits = strncmp(said, "wait", 4) == 0;
  if (strcmp(verb, "go") == 0 && real != NULL) run(id);
  if (strcmp(verb, "go") == 0) missing();
  if (strcmp(verb, "deny") == 0) leave(126, "agentdiff", said);
  if (strcmp(verb, "dry") == 0) leave(0, "agentdiff", said);
  become();
}
