// Command quantity-oracle says what k8s.io/apimachinery makes of quantities.
//
// Each line of its input is a JSON list of one or two texts; each is answered at once by a line with a JSON object:
//
//	["1Gi","1024Mi"]  {"in":["1Gi","1024Mi"],"ok":[true,true],"canonical":["1Gi","1Gi"],"string":["1Gi","1Gi"],"cmp":0}
//	["+1Gi"]          {"in":["+1Gi"],"ok":[true],"canonical":["1Gi"],"string":["+1Gi"]}
//	["1K"]            {"in":["1K"],"ok":[false],"canonical":[""],"string":[""]}
//	["1e999999999"]   {"in":["1e999999999"],"ok":[false],"canonical":[""],"string":[""],"bounded":true}
//
// canonical is CanonicalizeBytes; string is String(), which keeps some texts as they were written. cmp (-1, 0 or 1) is
// there when both of two were read. A line with a text whose exponent has more than three digits is bounded: it is not
// read at all, since comparing 1e999999999 keeps Go busy for half an hour.
//
// Its exit code is 0 at the end of its input, 2 on a line that is no such list, 1 where it cannot read or write.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"

	"k8s.io/apimachinery/pkg/api/resource"
)

type answer struct {
	In        []string `json:"in"`
	OK        []bool   `json:"ok"`
	Canonical []string `json:"canonical"`
	String    []string `json:"string"`
	Cmp       *int     `json:"cmp,omitempty"`
	Bounded   bool     `json:"bounded,omitempty"`
}

// hugeExponent matches anywhere: what it refuses need not be a quantity otherwise.
var hugeExponent = regexp.MustCompile(`[eE][+-]?[0-9]{4,}`)

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var texts []string
		if err := json.Unmarshal(in.Bytes(), &texts); err != nil || len(texts) < 1 || len(texts) > 2 {
			fmt.Fprintf(os.Stderr, "quantity-oracle: %q is no JSON list of one or two texts\n", in.Text())
			os.Exit(2)
		}
		if err := out.Encode(judge(texts)); err != nil {
			fail(err)
		}
	}
	if err := in.Err(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "quantity-oracle:", err)
	os.Exit(1)
}

func judge(texts []string) answer {
	said := answer{In: texts}
	var read []resource.Quantity
	for _, text := range texts {
		if hugeExponent.MatchString(text) {
			none := make([]string, len(texts))
			return answer{In: texts, OK: make([]bool, len(texts)), Canonical: none, String: none, Bounded: true}
		}
		quantity, err := resource.ParseQuantity(text)
		said.OK = append(said.OK, err == nil)
		if err != nil {
			said.Canonical = append(said.Canonical, "")
			said.String = append(said.String, "")
			continue
		}
		number, unit := quantity.CanonicalizeBytes(nil)
		said.Canonical = append(said.Canonical, string(number)+string(unit))
		said.String = append(said.String, quantity.String())
		read = append(read, quantity)
	}
	if len(texts) == 2 && len(read) == 2 {
		compared := read[0].Cmp(read[1])
		said.Cmp = &compared
	}
	return said
}
