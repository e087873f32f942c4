# Completes kubectl-dbscale in bash: source <(kubectl dbscale completion bash)
# "kubectl dbscale" itself is completed by kubectl's own script after "kubectl dbscale completion install".
_kubectl_dbscale() {
    local line i cur=${COMP_WORDS[COMP_CWORD]} typed='' directive=0
    local -a words=()
    COMPREPLY=()
    # Bash takes --size=x for three words, and completes the last of them.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        line=${COMP_WORDS[i]}
        if [[ $typed == --*= || ($typed == --* && $line == =) ]]; then
            typed+=$line
            words[${#words[@]} - 1]=$typed
        else
            typed=$line
            words+=("$line")
        fi
    done
    [[ $cur == = ]] && cur=''
    while IFS= read -r line; do
        case $line in
            '') ;;
            :*) directive=${line#:} ;;
            *) line=${line%%$'\t'*}
                [[ $line == "$typed"* ]] && COMPREPLY+=("${line#"${typed%"$cur"}"}") ;;
        esac
    done < <(kubectl-dbscale __complete "${words[@]}" 2>/dev/null)
    # The numbers are kubectl's own: 2 puts no blank behind the word, and without 4 the shell names files. A bash before 4 has
    # no compopt.
    ((directive & 2)) && compopt -o nospace 2>/dev/null
    ((directive & 4)) || compopt -o default 2>/dev/null
    return 0
}
complete -F _kubectl_dbscale kubectl-dbscale
