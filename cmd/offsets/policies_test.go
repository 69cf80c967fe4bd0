package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
	"offsets/internal/kafkatest"
)

// TestPoliciesLikeJava compares what is predicted, for every situation and
// policy, with where a Java consumer of the same release begins, or with the
// exception that it throws. (That this tool's own consumer begins there, too, is
// what policy --live proves in the scripts.)
func TestPoliciesLikeJava(t *testing.T) {
	situations := []struct {
		name  string
		setup [][]string // $t, $g
	}{
		{"valid", [][]string{{"commit", "$g", "$t", "0", "16"}}},
		{"valid-with-epoch", [][]string{{"commit", "$g", "$t", "0", "16", "0"}}},
		{"at-the-end", [][]string{{"commit", "$g", "$t", "0", "50"}}},
		{"no-commit", nil},
		{"below-start", [][]string{{"commit", "$g", "$t", "0", "5"}}},
		{"below-start-with-epoch", [][]string{{"commit", "$g", "$t", "0", "5", "0"}}},
		{"past-end", [][]string{{"commit", "$g", "$t", "0", "1000"}}},
		{"past-end-with-epoch", [][]string{{"commit", "$g", "$t", "0", "1000", "0"}}},
	}
	for _, b := range brokers() {
		t.Run(string(b.config.Version), func(t *testing.T) {
			cluster := b.get(t)
			cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			policies := []string{"earliest", "latest", "none"}
			if b.config.Version == kafkatest.V431 {
				policies = append(policies, "by_duration:PT30M")
			}
			args := []string{cluster.Bootstrap}
			for _, s := range situations {
				topic := "java-" + s.name
				prepare := [][]string{{"topic", topic, "1"}, {"records", topic, "0", "40", "2026-11-23T08:00:00Z"}, {"records", topic, "0", "10"}, {"log-start", topic, "0", "10"}}
				for _, policy := range policies {
					group := groupOf(s.name, policy)
					for _, step := range s.setup {
						prepare = append(prepare, strings.Split(strings.NewReplacer("$t", topic, "$g", group).Replace(strings.Join(step, " ")), " "))
					}
					args = append(args, group, topic, policy)
				}
				for _, step := range prepare {
					if err := given(t.Context(), cl, step); err != nil {
						t.Fatalf("given %v: %v", step, err)
					}
				}
			}
			predicted := predictions(t, cl, args)
			out, err := cluster.Java(t.Context(), javaProgram(t, "Policies"), args...).Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			lines := strings.Fields(string(out))
			if len(lines) != len(args)-1 {
				t.Fatalf("want a line for each of %d: %s", (len(args)-1)/3, out)
			}
			for i := 0; i+2 < len(lines); i += 3 {
				if group, java := lines[i], lines[i+2]; predicted[group] != java {
					t.Errorf("%s: predicted %s, Java %s", group, predicted[group], java)
				}
			}
			t.Logf("%d compared", len(lines)/3)
		})
	}
}

func groupOf(situation, policy string) string {
	word, _, _ := strings.Cut(policy, ":")
	return "java-" + situation + "-" + word
}

// predictions are the outcomes by group, in Java's words.
func predictions(t *testing.T, cl *kgo.Client, args []string) map[string]string {
	t.Helper()
	c := inspect.New(cl)
	out := map[string]string{}
	for i := 1; i+2 < len(args); i += 3 {
		group, topic, policy := args[i], args[i+1], args[i+2]
		d, err := c.Describe(t.Context(), []string{group}, inspect.DescribeOptions{Topics: []string{topic}, CreateMissing: true})
		if err != nil {
			t.Fatal(err)
		}
		for g, err := range d.Groups {
			if err != nil {
				t.Fatal(err)
			}
			p, _, err := c.Policies(t.Context(), g, inspect.PolicyOptions{Since: time.Now().Add(-30 * time.Minute)})
			if err != nil || len(p.Partitions) != 1 {
				t.Fatal(err, p)
			}
			o := map[string]*inspect.Outcome{"earliest": &p.Partitions[0].Policies.Earliest, "latest": &p.Partitions[0].Policies.Latest, "none": &p.Partitions[0].Policies.None}[policy]
			if o == nil {
				o = p.Partitions[0].Policies.ByDuration
			}
			switch {
			case o.Error != nil:
				out[group] = *o.Error
			case o.Note != nil:
				out[group] = *o.Note
			default:
				out[group] = fmt.Sprint(*o.Start)
			}
		}
	}
	return out
}
