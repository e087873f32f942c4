# Completes kubectl-dbscale in fish: kubectl dbscale completion fish | source
# "kubectl dbscale" itself is completed by kubectl's own script after "kubectl dbscale completion install".
function __kubectl_dbscale
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l answer (kubectl-dbscale __complete $words[2..] "$last" 2>/dev/null)
    string match -v ':*' -- $answer
    # The numbers are kubectl's own: without 4 the shell names files. Those of --flag=FILE are named with the flag.
    if contains -- "$answer[-1]" :0 :2
        set -l flag (string match -r -- '^--[^=]*=' $last)
        for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $last))
            echo "$flag$path"
        end
    end
end
complete -c kubectl-dbscale -f -a '(__kubectl_dbscale)'
