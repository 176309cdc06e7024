#!@PERL@
# agentdiff launcher: stands in front of the program of its own name while `agentdiff run --trace` lasts.
#
# It asks the supervisor (a Unix socket), runs the real program as its child, reports how that ended, and ends
# the same way.  It loads no module, not even strict: perl itself is most of what it costs.  Whatever is not as
# expected (switched off, no supervisor, a socket that does not answer) makes it become the real program at once.
# Rendered for one run: the @…@ words stand for absolute paths.  Rules and limits: doc/trace.md.

my $folder = '@FOLDER@';
my ($tool) = $0 =~ m{([^/]+)$};
my $socket = $ENV{AGENTDIFF_TRACE};
my ($said, $daemon) = ('');
my $parent = $ENV{AGENTDIFF_TRACE_PARENT};
$parent = '' unless defined $parent;
utf8::is_utf8($_) && utf8::encode($_) for @ARGV;    # PERL_UNICODE in an agent's environment

# Where standard input was closed (`<&-`), perl has opened this very file in its place: the program shall find it
# closed.  The same for the other two.
for my $handle (\*STDIN, \*STDOUT, \*STDERR) {
    close $handle if -f $handle && (stat _)[1] == (stat $0)[1] && (stat $handle)[0] == (stat $0)[0];
}

# SHIM_ACTIVE names the exec that is being resolved (program:pid:folders of launchers).  When a wrapper, such as
# pyenv's, becomes this launcher again in the same process, only that is passed over; its children are not.
# Folders are compared as such, not by their names: a link in the PATH may lead to one.
my %skip  = (place($folder) => $folder);
my $again = 0;
if (defined(my $active = delete $ENV{SHIM_ACTIVE})) {
    my ($name, $pid, @folders) = split /:/, $active;
    if ($pid eq $$) {
        $skip{place($_)} = $_ for @folders;
        $again = $name eq $tool;
    }
}

my $real = find();
become() if $again || !defined $socket || -e '@OFF@';
ask() || become();
my ($verb, $id, $rest) = split / /, $said, 3;
if ($verb eq 'go' && defined $real) { run() }
elsif ($verb eq 'go')               { missing() }
elsif ($verb eq 'deny')             { print STDERR "agentdiff: $rest"; exit 126 }
elsif ($verb eq 'dry')              { print STDERR "agentdiff: $rest"; exit 0 }
become();

# Returns the program that would have been found without launchers, undef for none.
sub find {
    my $path = defined $ENV{PATH} ? $ENV{PATH} : $ENV{ORIGINAL_PATH};
    for my $part (split /:/, $path, -1) {
        my $place = $part eq '' ? '.' : $part;
        chop $place while length $place > 1 && substr($place, -1) eq '/';
        return "$place/$tool" if !$skip{place($place)} && -f "$place/$tool" && -x _;
    }
    return;
}

# Returns what tells a folder from all others.
sub place { my ($device, $number) = stat shift; return defined $number ? "$device:$number" : '' }

# Becomes the real program; nothing is reported.
sub become {
    missing() unless defined $real;
    $ENV{SHIM_ACTIVE} = join ':', $tool, $$, values %skip;
    # Python looks for itself, and so for its virtual environment, under the name that it is given: a bare one would
    # lead it to the launcher.  Others are given theirs: make starts further ones by it.
    my $name = $tool =~ /^(?:python|pypy)[\d.]*$/ ? $real : $tool;
    { exec {$real} $name, @ARGV }
    failed();
}

sub missing { print STDERR "$tool: command not found\n"; answer(127 << 8); exit 127 }

sub failed { my $code = $! + 0 == 2 ? 127 : 126; print STDERR "$tool: $!\n"; exit $code }

# Tells the supervisor what is about to run; returns whether it answered.
sub ask {
    my $long    = $^O eq 'linux' ? 107 : 103;
    my $address = $^O eq 'linux' ? pack('Sa108', 1, $socket) : pack('CCa104', 106, 1, $socket);
    return if length $socket > $long;
    local $SIG{PIPE} = 'IGNORE';
    socket($daemon, 1, 1, 0)   or return;
    fcntl($daemon, 2, 1)       or return;    # F_SETFD, FD_CLOEXEC: perl does it above 2 only
    connect($daemon, $address) or return;
    binmode $daemon;
    my $where = defined $ENV{PWD} ? $ENV{PWD} : '';
    my $env   = $ENV{AGENTDIFF_TRACE_ENV} ? join("\0", map { "$_=$ENV{$_}" } keys %ENV) : '';
    my $shown = defined $real ? $real : '';
    my @facts = ($tool, $shown, $where, $$, getppid(), -t STDIN ? 1 : 0, -f STDOUT ? 1 : 0, $parent, scalar @ARGV);
    my $text  = join "\0", @facts, @ARGV, $env;
    send_all(length($text) . "\n$text") or return;
    return hear();
}

# Reads one line of the supervisor, which may be stopped by a Ctrl-Z: nobody waits for that.
sub hear {
    $said = '';
    while (index($said, "\n") < 0) {
        my $set = '';
        vec($set, fileno $daemon, 1) = 1;
        my $found = select $set, undef, undef, @WAIT@;
        next   if $found < 0;    # a signal
        return if !$found || !sysread $daemon, $said, 65536, length $said;
    }
    return 1;
}

sub send_all {
    my ($text, $sent) = (shift, 0);
    while ($sent < length $text) {
        my $count = syswrite $daemon, $text, 262144, $sent;
        return unless $count;
        $sent += $count;
    }
    return 1;
}

# Reports the wait status; waits until what the program wrote has been seen, when it may have written.
sub answer {
    local $SIG{PIPE} = 'IGNORE';
    return unless defined $daemon && send_all("$_[0]\n");
    hear() if defined $rest && index($rest, 'wait') == 0;
}

# Runs the real program as a child, in our process group: the terminal's signals reach it without us.
sub run {
    my $errors = -f STDERR ? -s _ : undef;
    my $child  = 0;
    my $me     = $$;
    my @caught = grep { !defined $SIG{$_} || $SIG{$_} ne 'IGNORE' } qw(INT QUIT TSTP TERM HUP USR1 USR2 ALRM);
    $SIG{$_} = sub { my $name = shift; kill $name, $child if $child && !from_terminal($name) }
        for @caught;
    local $SIG{CHLD} = sub { };    # ends the pause in reap; and an ignored one would take the status with it
    $child = fork;
    become() unless defined $child;
    if (!$child) {
        $SIG{$_} = 'DEFAULT' for @caught;
        # Nothing can pass SIGKILL on; Linux ends the program with us (PR_SET_PDEATHSIG), as if it had been hit.
        if (@PRCTL@) { syscall @PRCTL@, 1, 9; exit if getppid != $me }
        $ENV{AGENTDIFF_TRACE_PARENT} = $id;
        become();
    }
    my $status = reap($child);
    my $more   = defined $errors && -f STDERR ? "\t" . ((-s _) - $errors) : '';
    answer("$status$more");
    my $number = $status & 127;
    if ($number) {
        $SIG{$_} = 'DEFAULT' for @caught;
        kill $number, $$;
        exit 128 + $number;
    }
    exit $status >> 8;
}

# Waits for the child; stops when it stops, so that the shell sees a stopped job.
sub reap {
    my $child = shift;
    while (1) {
        # Perl runs handlers between its own steps: a signal that arrives just before a wait that blocks would be
        # passed on only after it.  A pause is ended by any signal, and at worst by itself.
        my $pid = waitpid $child, 3;    # WNOHANG | WUNTRACED
        if ($pid == 0) { select undef, undef, undef, 0.1; next }
        return 255 << 8 if $pid < 0;    # somebody else took its status
        return $? if $? || !kill 0, $child;    # perl says 0 of a child that only stopped, too
        # Whoever stopped the whole group has stopped us too; when we are here because of `fg`, the child goes on.
        select undef, undef, undef, 0.02;
        if (waitpid($child, 11) == $child) {    # WNOHANG | WUNTRACED | WCONTINUED
            return $? if $? || !kill 0, $child;
            next;
        }
        # Only now, after the child: a full-screen program that gets a Ctrl-Z first puts the terminal in order.
        kill 'STOP', $$;
        kill 'CONT', $child;
    }
}

# Whether a signal came from the terminal, which has sent it to the child as well.
sub from_terminal {
    my $name = shift;
    return if $name ne 'INT' && $name ne 'QUIT' && $name ne 'TSTP';
    open my $terminal, '+<', '/dev/tty' or return;
    my $group = pack 'i', 0;
    ioctl $terminal, $^O eq 'linux' ? 0x540F : 0x40047477, $group or return;    # TIOCGPGRP
    return unpack('i', $group) == getpgrp(0);
}
