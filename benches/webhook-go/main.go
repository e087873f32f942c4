// webhook-go is what dbscale's webhook is measured beside: an admission webhook as it is usually written with
// controller-runtime, with a few of the same rules. `cargo xtask bench webhook` builds and runs it.
//
// It decodes into unstructured objects, since KubeDB has 64 kinds, and keeps no cache: what it is asked is judged by the
// review alone. That makes it cheaper than one that knows databases, as dbscale's does.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// The smallest volume that KubeDB's storage is asked for: 1 GB.
var minimum = resource.MustParse("1G")

func main() {
	port := flag.Int("port", 8443, "where reviews are answered, on 127.0.0.1")
	certificates := flag.String("certificates", "", "the folder of tls.crt and tls.key")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	server := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: *port, CertDir: *certificates})
	server.Register("/validate", &admission.Webhook{Handler: judge{admission.NewDecoder(runtime.NewScheme())}})
	if err := server.Start(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

type judge struct {
	decoder admission.Decoder
}

// Handle judges one review.
func (j judge) Handle(_ context.Context, request admission.Request) admission.Response {
	object := &unstructured.Unstructured{}
	if err := j.decoder.Decode(request, object); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	var problem error
	switch {
	case request.Kind.Group == "ops.kubedb.com":
		problem = opsRequest(object)
	case request.Operation == admissionv1.Update:
		old := &unstructured.Unstructured{}
		if err := j.decoder.DecodeRaw(request.OldObject, old); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
		problem = update(old, object)
	default:
		problem = floors(object)
	}
	if problem != nil {
		return admission.Denied(problem.Error())
	}
	return admission.Allowed("")
}

// opsRequest judges an OpsRequest: at least one member, at least 1 GB.
func opsRequest(object *unstructured.Unstructured) error {
	members, found, err := unstructured.NestedInt64(object.Object, "spec", "horizontalScaling", "replicas")
	if err != nil {
		return err
	}
	if found && members < 1 {
		return fmt.Errorf("[replicas/minimum] %d is less than 1", members)
	}
	sizes, _, err := unstructured.NestedMap(object.Object, "spec", "volumeExpansion")
	if err != nil {
		return err
	}
	for component, value := range sizes {
		text, isText := value.(string)
		if component == "mode" || !isText {
			continue
		}
		if size, err := resource.ParseQuantity(text); err != nil {
			return err
		} else if size.Cmp(minimum) < 0 {
			return fmt.Errorf("[storage/minimum] %s is less than 1 GB", text)
		}
	}
	return nil
}

// update judges a change of a database: its floors, and that its volumes do not shrink.
func update(old, object *unstructured.Unstructured) error {
	if err := floors(object); err != nil {
		return err
	}
	before, _, err := storage(old)
	if err != nil {
		return err
	}
	size, found, err := storage(object)
	if err != nil {
		return err
	}
	if found && size.Cmp(before) < 0 {
		return fmt.Errorf("[storage/no-shrink] %s is less than the present %s", size.String(), before.String())
	}
	return nil
}

// floors judges a database: at least one member, at least 1 GB.
func floors(object *unstructured.Unstructured) error {
	members, found, err := unstructured.NestedInt64(object.Object, "spec", "replicas")
	if err != nil {
		return err
	}
	if found && members < 1 {
		return fmt.Errorf("[replicas/minimum] %d is less than 1", members)
	}
	size, found, err := storage(object)
	if err != nil {
		return err
	}
	if found && size.Cmp(minimum) < 0 {
		return fmt.Errorf("[storage/minimum] %s is less than 1 GB", size.String())
	}
	return nil
}

func storage(object *unstructured.Unstructured) (resource.Quantity, bool, error) {
	text, found, err := unstructured.NestedString(object.Object, "spec", "storage", "resources", "requests", "storage")
	if err != nil || !found {
		return resource.Quantity{}, false, err
	}
	size, err := resource.ParseQuantity(text)
	return size, err == nil, err
}
