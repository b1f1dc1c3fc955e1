"""The completion scripts of the shells.

Each script is a few lines that call `losant-tokens __complete` at each TAB. So there is one source
of truth, which knows the options of this version and the tokens of the account, and a script needs
no update. The alternative, a script that lists all options, is outdated after each release.

The protocol for zsh and fish: the first line is `values`, or `files` and patterns of names such as
`*.jsonl`. Folders belong to the files. Each further line is a value, a tab and a description.
bash gets the exact words to insert, because it splits words at colons and equals
signs.
"""

from collections.abc import Mapping
from types import MappingProxyType

_BASH = r"""
_losant_tokens() {
    local line kind=
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ -z $kind ]]; then
            kind=$line
            [[ $kind == nospace ]] && compopt -o nospace 2>/dev/null
        else
            COMPREPLY+=("$line")
        fi
    done < <("${1/#\~/$HOME}" __complete bash "${COMP_LINE:0:COMP_POINT}" \
        "$COMP_WORDBREAKS" "$COMP_TYPE" "${COLUMNS:-}" 2>/dev/null)
}
complete -o nosort -F _losant_tokens losant-tokens 2>/dev/null ||
    complete -F _losant_tokens losant-tokens
"""

_ZSH = r"""#compdef losant-tokens

_losant-tokens() {
    local kind line value
    local -a lines complete open
    integer failed=1
    lines=("${(@f)$("${words[1]/#\~/$HOME}" __complete zsh \
        "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    kind=$lines[1]
    shift lines
    if [[ $kind == files* ]]; then
        [[ $PREFIX == --*=* ]] && compset -P '*='
        # `_files -g` offers all files if none matches.
        _path_files -/ && failed=0
        _path_files -g "${kind#files }" && failed=0
    fi
    for line in $lines; do
        value=${${line%%$'\t'*}//\\/\\\\}
        value=${value//:/\\:}
        [[ $line == *$'\t'?* ]] && value+=:${line#*$'\t'}
        # No space follows a value that the user has to continue, such as `application:`.
        [[ ${line%%$'\t'*} == *: ]] && open+=$value || complete+=$value
    done
    _describe -V value complete -- open -S '' -- 2>/dev/null && failed=0
    return failed
}

if [[ $funcstack[1] == _losant-tokens ]]; then
    _losant-tokens "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _losant-tokens losant-tokens
fi
"""

_FISH = r"""
function __losant_tokens_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string trim --left --chars="'\"")
    set -l program (string replace --regex '^~' $HOME -- $words[1])
    set -l lines ($program __complete fish $words[2..-1] "$current" 2>/dev/null)
    set -l option (string match --regex '^--[^=]*=' -- $current)
    set -l path (string replace --regex '^--[^=]*=' '' -- $current)
    if string match --quiet 'files*' "$lines[1]"
        set -l patterns '*/' (string split --no-empty ' ' -- $lines[1])[2..-1]
        for file in (complete -C "__fish_command_without_completions $path")
            for pattern in $patterns
                if string match --quiet -- $pattern (string split \t -- $file)[1]
                    printf "$option%s\n" $file
                    break
                end
            end
        end
    end
    printf '%s\n' $lines[2..-1]
end

complete --command losant-tokens --no-files --keep-order --arguments '(__losant_tokens_complete)'
"""

SCRIPTS: Mapping[str, str] = MappingProxyType(
    {
        "bash": f"# Completion of losant-tokens for bash.\n{_BASH}",
        "zsh": _ZSH,
        "fish": f"# Completion of losant-tokens for fish.\n{_FISH}",
    }
)
