#!@PERL@
# agentdiff hook client: hands a hook's payload to the daemon, waits until the baseline is taken, exits 0.
#
# Every tool call of every agent pays for this program, so it loads no module, not even strict (1.8 ms
# against 15 ms and more for anything else that is on every machine).  It never fails the agent: it
# exits 0 whatever happens and prints nothing but what the daemon wants the agent to read.
#
#     agentdiff-hook AGENT [--socket PATH] [--state DIR]
#
# Rendered at install time: the four @…@ words stand for absolute paths, inside single quotes (so a backslash
# or a single quote in them is written with a backslash before it).  Protocol: doc/protocol.md, hook.sock.

# Whatever goes wrong, also a signal: an agent must not be told that its hook failed.
$SIG{ALRM} = $SIG{INT} = $SIG{TERM} = $SIG{HUP} = $SIG{__DIE__} = sub { exit 0 };
$SIG{__WARN__} = sub { };
$SIG{PIPE} = 'IGNORE';
alarm 12;

my $python = '@PYTHON@';
my ($agent, $socket, $state) = ('', '@SOCKET@', '@STATE@');
utf8::is_utf8($_) && utf8::encode($_) for @ARGV;    # PERL_UNICODE in an agent's environment
while (@ARGV) {
    my $word = shift @ARGV;
    if    ($word eq '--socket') { $socket = shift @ARGV }
    elsif ($word eq '--state')  { $state  = shift @ARGV }
    else                        { $agent  = $word }
}

# Every handle is made binary: PERL_UNICODE again.
binmode STDIN;
binmode STDOUT;
my $payload = '';
1 while sysread STDIN, $payload, 65536, length $payload;

my $answer = ask();
fall_back() unless defined $answer;

# A quote inside any JSON string has a backslash before it, so that the key cannot be found inside one.
my $at = index $answer, '"print":"';
send_all(\*STDOUT, unescaped($answer, $at + 9)) if $at >= 0;
exit 0;

# Returns the JSON string that begins (after its quote) at an offset.
sub unescaped {
    my ($json, $from) = @_;
    my $text  = '';
    my %plain = (n => "\n", t => "\t", r => "\r", b => "\b", f => "\f");
    # Compiling patterns is a tenth of this program's time: one in a variable is compiled when it is used.
    my $part = q{\G(?:([^"\\\\]+)|\\\\u([0-9a-fA-F]{4})|\\\\(.))};
    return $text if substr($json, $from, 1) eq '"';
    pos($json) = $from;
    while ($json =~ /$part/gc) {
        $text .= defined $1 ? $1 : defined $2 ? character(hex $2) : $plain{$3} || $3;
    }
    return $text;
}

# Sends header and payload; returns the line of the answer, undef when there is no daemon to give one.
sub ask {
    # sockaddr_un: Linux begins with a 16-bit family, macOS and the BSDs with a length byte.
    my $long    = $^O eq 'linux' ? 107 : 103;
    my $address = $^O eq 'linux' ? pack('Sa108', 1, $socket) : pack('CCa104', 106, 1, $socket);
    return if length $socket > $long;
    socket(my $daemon, 1, 1, 0) or return;
    connect($daemon, $address)  or return;
    # Who answers?  A folder that others may write to could hold their socket: what an agent says is not for them.
    my @peer = $^O eq 'linux' ? unpack('LLL', getsockopt($daemon, 1, 17)) : unpack('LL', getsockopt($daemon, 0, 1));
    return if $peer[1] != $> && $peer[1] != 0;
    binmode $daemon;
    my $name = $agent;
    $name =~ tr/a-zA-Z0-9._-/_/c;
    my $size    = length $payload;
    my $run = $ENV{AGENTDIFF_SESSION} || '';    # set by `agentdiff run` for everything inside it
    $run =~ tr/a-zA-Z0-9._-/_/c;
    my $message = qq({"proto":1,"min_proto":1,"agent":"$name","len":$size,"within":"$run"}\n) . $payload;
    send_all($daemon, $message);    # when it stops half-way, the answer says why, or there is none
    my $line = '';
    while (index($line, "\n") < 0) {
        return unless sysread $daemon, $line, 65536, length $line;
    }
    return $line;
}

# Lets the Python client start a daemon, or keep the payload for later; exits when it has ended.
#
# It is a child, so that whatever becomes of it (a Python that was replaced and has no agentdiff) is not our exit code.
sub fall_back {
    pipe(my $from, my $to) or exit 0;
    binmode $from;
    binmode $to;
    my $child = fork;
    exit 0 unless defined $child;
    if (!$child) {
        close $to;
        open STDIN, '<&', $from or exit 0;
        # -E and -P: neither the agent's PYTHONPATH nor the current folder may provide modules.
        my @command = ($python, '-E', '-P', '-m', 'agentdiff', 'hook', $agent);
        $SIG{PIPE} = 'DEFAULT';
        { exec {$python} @command, '--socket', $socket, '--state', $state }
        exit 0;
    }
    alarm 14;    # longer than the Python client takes; agents wait for 15 s
    close $from;
    send_all($to, $payload);
    close $to;
    waitpid $child, 0;
    exit 0;
}

# Writes all of it, or as much as the other side takes.
sub send_all {
    my ($to, $text) = @_;
    my $sent = 0;
    while ($sent < length $text) {
        my $count = syswrite $to, $text, 262144, $sent;
        return unless $count;
        $sent += $count;
    }
}

# UTF-8 of one UTF-16 unit.  The daemon escapes control characters only, so there are no surrogates.
sub character {
    my $text = chr shift;
    utf8::encode($text);
    return $text;
}
