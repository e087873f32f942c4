// Command controlplane is a Kubernetes control plane in one binary: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler and kubectl. It runs the program whose name it is called by, as busybox does, so that five links to one
// file make the folder that envtest calls its assets. The five share most of their code: together they are linked once.
//
// What runs is each program's own main, from the sources of its release.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // CronJobs name time zones

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"dbscale.dev/controlplane/internal/kubectl"
)

// programs answers each program's main by its name; a main answers the exit code. A command is made only when it is
// called for, since making one registers flags and feature gates that another one registers too.
var programs = map[string]func() int{
	"etcd":                    runEtcd,
	"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() int { return cli.Run(controllermanager.NewControllerManagerCommand()) },
	"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
	"kubectl":                 kubectl.Run,
}

func main() {
	name := filepath.Base(os.Args[0])
	if run, known := programs[name]; known {
		os.Exit(run())
	}
	if len(os.Args) > 1 {
		if run, known := programs[os.Args[1]]; known {
			os.Args = os.Args[1:] // the programs read os.Args themselves
			os.Exit(run())
		}
	}
	fmt.Fprintf(os.Stderr, "%s: call me by the name of etcd, kube-apiserver, kube-controller-manager, kube-scheduler or "+
		"kubectl (a link does), or give one of these as the first argument\n", name)
	os.Exit(2)
}

// runEtcd ends the process itself where etcd fails.
func runEtcd() int {
	etcdmain.Main(os.Args)
	return 0
}
