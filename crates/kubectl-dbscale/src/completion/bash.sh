# Completes kubectl-dbscale in bash: source <(kubectl dbscale completion bash)
# "kubectl dbscale" itself is completed by kubectl's own script after "kubectl dbscale completion install".
_kubectl_dbscale() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        [[ $line == :* || -z $line ]] && continue
        line=${line%%$'\t'*}
        [[ $line == "${COMP_WORDS[COMP_CWORD]}"* ]] && COMPREPLY+=("$line")
    done < <(kubectl-dbscale __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _kubectl_dbscale kubectl-dbscale
