#compdef kubectl-dbscale
# Completes kubectl-dbscale in zsh: source <(kubectl dbscale completion zsh)
# "kubectl dbscale" itself is completed by kubectl's own script after "kubectl dbscale completion install".
_kubectl_dbscale() {
    local line
    local -i directive=0
    local -a found blank
    while IFS= read -r line; do
        case $line in
            '') ;;
            :*) directive=${line#:} ;;
            *) found+=("${line%%$'\t'*}") ;;
        esac
    done < <(kubectl-dbscale __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    # The numbers are kubectl's own: 2 puts no blank behind the word, and without 4 the shell names files.
    if (( ! (directive & 4) )); then
        [[ ${words[CURRENT]} == --*=* ]] && compset -P '*='
        _files
        return
    fi
    (( directive & 2 )) && blank=(-S '')
    compadd "${blank[@]}" -a found
}
compdef _kubectl_dbscale kubectl-dbscale
