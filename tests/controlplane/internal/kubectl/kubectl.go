// Package kubectl is kubectl's main, for the two commands that have it.
package kubectl

import (
	"os"

	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubeconfigs with exec and OIDC users
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

// Run answers the exit code 0, or ends the process itself with another one, having printed why.
//
// The verbosity is set first: making the command already looks for plugins and reads .kuberc, and logs what it finds.
func Run() int {
	_, _ = logs.GlogSetter(cmd.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	return 0
}
