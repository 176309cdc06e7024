/* The least that a hook client can do: payload from stdin to the socket, wait for the answer, exit 0. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char payload[1 << 20], answer[4096];

int main(int argc, char **argv) {
  size_t size = 0;
  ssize_t got;
  while ((got = read(0, payload + size, sizeof payload - size)) > 0) size += (size_t)got;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (argc < 2 || fd < 0 || strlen(argv[1]) >= sizeof address.sun_path) return 1;
  strcpy(address.sun_path, argv[1]);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return 1;
  char header[128];
  int length = snprintf(header, sizeof header,
                        "{\"proto\":1,\"min_proto\":1,\"agent\":\"claude\",\"len\":%zu}\n", size);
  if (write(fd, header, (size_t)length) != length) return 1;
  if (write(fd, payload, size) != (ssize_t)size) return 1;
  for (size_t used = 0; used < sizeof answer; used += (size_t)got) {
    got = read(fd, answer + used, sizeof answer - used);
    if (got <= 0) return 1;
    if (memchr(answer + used, '\n', (size_t)got)) return 0;
  }
  return 1;
}
