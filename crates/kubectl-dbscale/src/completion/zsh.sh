#compdef kubectl-dbscale
# Completes kubectl-dbscale in zsh: source <(kubectl dbscale completion zsh)
# "kubectl dbscale" itself is completed by kubectl's own script after "kubectl dbscale completion install".
_kubectl_dbscale() {
    local line
    local -a found
    while IFS= read -r line; do
        [[ $line == :* || -z $line ]] && continue
        found+=("${line%%$'\t'*}")
    done < <(kubectl-dbscale __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    compadd -a found
}
compdef _kubectl_dbscale kubectl-dbscale
