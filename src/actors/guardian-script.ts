/**
 * What a guardian runs: a few lines for any POSIX shell, since a shell needs a tenth of the memory of a Node.js process and starts
 * in a tenth of the time. Runs in the guardian's own process; `guardian.ts` starts it and writes to its standard input.
 *
 * A line `+ PID MARK TENTHS` names a process that is not to outlive the writer by more than so many tenths of a second, a line
 * `- PID` one that is reaped. MARK is when it started, since a pid alone is reused; `-` where the guardian is to ask. The end of its input
 * is the end of the writer.
 */

/** What a terminal, an operator or a service manager sends to all there are; none of it ends a guardian that has begun. */
export const GUARDIAN_IGNORES = 'HUP INT QUIT TERM USR1 USR2 TSTP TTIN TTOU WINCH PIPE ALRM';
/** How often it looks, once it looks. */
const TICK_S = '0.1';
/** How long it tries to kill a process that the kernel does not let die, in tenths of a second. */
const GIVE_UP_TENTHS = 100;

/**
 * - It takes no signal that is sent to all there are: who ends early guards nobody.
 * - A process that is stopped is let go on first: it then sees by itself that its arbiter is gone, and finishes what it has.
 * - The clock is /proc/uptime, since a count of ticks runs late; where there is none, the count is what there is.
 * - The name of a process may hold anything, also the bracket that ends it and a newline: what counts is behind the last one.
 */
export const GUARDIAN_SCRIPT = `
set -f
trap '' ${GUARDIAN_IGNORES}
live= now=0

identify() {
  mark=
  if [ -r /proc/self/stat ]; then
    stat=
    while read -r line; do stat=$line; done < "/proc/$1/stat"
    case $stat in *') '*) ;; *) return ;; esac
    set -- \${stat##*) }
    case $1 in Z|X) return ;; esac
    mark=\${20}
  else
    mark=$(ps -o lstart= -p "$1" | tr -s ' :' _)
  fi
}

clock() {
  if read -r up idle < /proc/uptime; then
    hundredths=\${up#*.}
    now=$((\${up%%.*} * 10 + \${hundredths%?}))
  else
    now=$((now + 1))
  fi
}

forget() {
  kept=
  for one in $live; do
    case $one in "$1":*) ;; *) kept="$kept $one" ;; esac
  done
  live=$kept
}

while read -r what pid mark tenths; do
  forget "$pid"
  [ "$what" = + ] || continue
  [ "$mark" != - ] || identify "$pid"
  [ -z "$mark" ] || live="$live $pid:$mark:$tenths"
done

clock
from=$now signal=CONT
while [ -n "$live" ]; do
  clock
  passed=$((now - from)) kept=
  for one in $live; do
    pid=\${one%%:*} tenths=\${one##*:} expected=\${one#*:}
    identify "$pid"
    [ "$mark" = "\${expected%:*}" ] || continue
    [ -z "$signal" ] || kill -s "$signal" "$pid"
    [ "$passed" -lt "$tenths" ] || kill -s KILL "$pid"
    [ "$passed" -ge $((tenths + ${GIVE_UP_TENTHS})) ] || kept="$kept $one"
  done
  live=$kept signal=
  [ -z "$live" ] || sleep ${TICK_S} || sleep 1
done
`;
