# agentdiff: for non-interactive bash while `agentdiff run --trace` lasts (doc/trace.md).  Every line checks
# first: without the launchers, or switched off, nothing happens but what the user's own BASH_ENV does.
if [ -d '@FOLDER@' ] && [ ! -e '@OFF@' ]; then
  # Login shells set PATH anew: the launchers go in front again.
  case "$PATH" in
    '@FOLDER@'|'@FOLDER@':*) ;;
    *)
      PATH=":$PATH:"
      PATH=${PATH//:'@FOLDER@':/:}
      PATH=${PATH#:}
      PATH='@FOLDER@':${PATH%:}
      ;;
  esac
  # The place of a launcher must not be remembered when it is gone.
  shopt -s checkhash
  if [ -n "${AGENTDIFF_TRACE_BUILTINS-}" ] && [ -z "${BASH_XTRACEFD-}" ]; then
    exec {BASH_XTRACEFD}>>"$AGENTDIFF_TRACE_BUILTINS" && PS4=$'+\x1f$$\x1f$PWD\x1f' && set -x
  fi
fi 2>/dev/null
if [ -n "${AGENTDIFF_BASH_ENV-}" ] && [ "$AGENTDIFF_BASH_ENV" != "${BASH_ENV-}" ]; then . "$AGENTDIFF_BASH_ENV"; fi
