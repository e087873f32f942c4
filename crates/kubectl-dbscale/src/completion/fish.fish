# Completes kubectl-dbscale in fish: kubectl dbscale completion fish | source
# "kubectl dbscale" itself is completed by kubectl's own script after "kubectl dbscale completion install".
function __kubectl_dbscale
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    kubectl-dbscale __complete $words[2..] "$last" 2>/dev/null | string match -v ':*'
end
complete -c kubectl-dbscale -f -a '(__kubectl_dbscale)'
