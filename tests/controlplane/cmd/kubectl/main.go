// Command kubectl is kubectl alone. The one in the multi-call binary carries the whole control plane's start-up and needs
// twice the time and memory, which would flatter whatever is measured against it.
package main

import (
	"os"

	"dbscale.dev/controlplane/internal/kubectl"
)

func main() {
	os.Exit(kubectl.Run())
}
