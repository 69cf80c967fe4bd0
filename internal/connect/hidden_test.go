package connect

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
)

func TestHideUserInfo(t *testing.T) {
	for in, want := range map[string]string{
		"http://user:S3CRET@host/path":            "http://[hidden]@host/path",
		"Post \"https://user:S3C@RET@host\": EOF": "Post \"https://[hidden]@host\": EOF",
		"http://user@host":                        "http://[hidden]@host",
		"two: a://b:c@d and e+f://g@h":            "two: a://[hidden]@d and e+f://[hidden]@h",
		"someone@example.org":                     "someone@example.org",
		"http://host/path":                        "http://host/path",
	} {
		if got := HideUserInfo(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	got := HideArguments([]string{"offsets", "reset", "-b", "u:S3CRET@h:1", "--bootstrap-server=u:S3CRET@h:1", "-b=a:1,u:S3,CRET@h:1", "g@x", "--reason", "see http://u:S3CRET@h"})
	want := []string{"offsets", "reset", "-b", "[hidden]@h:1", "--bootstrap-server=[hidden]@h:1", "-b=[hidden]@h:1", "g@x", "--reason", "see http://[hidden]@h"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A bootstrap server with a password in it is refused, and not quoted.
func TestBootstrapWithUserInfo(t *testing.T) {
	for _, list := range []string{"user:S3CRET@host:9092", "S3CRET@host:9092", "a:1,user:S3CRET@host", "user:S3,CRET@host:9092", "kafka://user:S3CRET@host:9092", "S3CRET@", "user:S3@CRET@host:x"} {
		_, err := ParseBootstrap(list)
		if err == nil || strings.Contains(err.Error(), "S3") || strings.Contains(err.Error(), "CRET") || !strings.Contains(err.Error(), "sasl.jaas.config") {
			t.Errorf("%q: %v", list, err)
		}
		if _, err := parseConfig([]byte("bootstrap.servers=" + list)); err == nil || strings.Contains(err.Error(), "S3") {
			t.Errorf("%q in a file: %v", list, err)
		}
	}
}

func TestConfigHidesUserInfo(t *testing.T) {
	for _, url := range []string{"http://user:S3CRET@host/token?key=S3CRET", "user:S3CRET@host", "http:/user:S3CRET@host"} {
		c, err := parseConfig([]byte(keyTokenURL + "=" + url + "\nclient.id=http://user:S3CRET@host\nssl.truststore.location=https://S3CRET@host/x"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.Properties {
			if strings.Contains(p.Value, "S3CRET") {
				t.Errorf("%s is shown as %q", p.Key, p.Value)
			}
		}
	}
	for _, text := range []string{"request.timeout.ms=http://user:S3CRET@host", "security.protocol=http://user:S3CRET@host", "http\\://user\\:S3CRET@host=x"} {
		if _, err := ReadConfig(fileOf(t, text)); err == nil || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func fileOf(t *testing.T, text string) string {
	file := filepath.Join(t.TempDir(), "client.properties")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const oauthJAAS = "\nsasl.jaas.config=a.OAuthBearerLoginModule required clientId=\"id\" clientSecret=\"S3CRET\";\n"

func tokenFrom(t *testing.T, endpoint string) error {
	t.Helper()
	c, err := parseConfig([]byte("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n" + keyTokenURL + "=" + endpoint + oauthJAAS))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.SASL.Authenticate(t.Context(), "broker")
	return err
}

// The client's secret goes nowhere but to the endpoint that was named.
func TestTokenIsNotRedirected(t *testing.T) {
	asked := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++ }))
	defer elsewhere.Close()
	other, err := url.Parse(elsewhere.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		for location, want := range map[string]string{
			"http://user:S3CRET@" + other.Host + "/x?key=S3CRET": other.Host,
			"/here?key=S3CRET":  "",
			"":                  "",
			"http://u:S3CRET@[": "",
		} {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/here" {
					asked++
				}
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(code)
			}))
			err := tokenFrom(t, strings.Replace(s.URL, "://", "://user:S3CRET@", 1)+"/token?key=S3CRET")
			own, _, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
			s.Close()
			if err == nil || strings.Contains(err.Error(), "S3CRET") || !strings.Contains(err.Error(), "redirect") || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), own) {
				t.Errorf("%d to %q: %v", code, location, err)
			}
		}
	}
	if asked > 0 {
		t.Errorf("it was followed %d times", asked)
	}
	for _, endpoint := range []string{"http://user:S3CRET@127.0.0.1:1/?key=S3CRET", "http://user:S3CRET@no-such-host.invalid/"} {
		if err := tokenFrom(t, endpoint); err == nil || strings.Contains(err.Error(), "S3CRET") || strings.Contains(err.Error(), "user") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

// What goes over the network for everybody to read is told.
func TestUnencrypted(t *testing.T) {
	const plain = "\nsasl.mechanism=PLAIN\nsasl.jaas.config=a.PlainLoginModule required username=\"u\" password=\"S3CRET\";\n"
	const scram = "\nsasl.mechanism=SCRAM-SHA-256\nsasl.jaas.config=a.ScramLoginModule required username=\"u\" password=\"S3CRET\";\n"
	oauth := func(endpoint string) string {
		return "\nsasl.mechanism=OAUTHBEARER\n" + keyTokenURL + "=" + endpoint + oauthJAAS
	}
	for text, want := range map[string][]string{
		"security.protocol=SASL_PLAINTEXT" + plain:                                        {"password"},
		"security.protocol=sasl_plaintext" + plain:                                        {"password"},
		"security.protocol=SASL_SSL" + plain:                                              nil,
		"security.protocol=SASL_PLAINTEXT" + scram:                                        nil,
		"security.protocol=SASL_PLAINTEXT" + oauth("https://host/"):                       {"token"},
		"security.protocol=SASL_SSL" + oauth("http://user:S3CRET@host.example/?k=S3CRET"): {"host.example"},
		"security.protocol=SASL_SSL" + oauth("HTTP://host.example/"):                      {"host.example"},
		"security.protocol=SASL_SSL" + oauth("http://127.0.0.2:80/"):                      nil,
		"security.protocol=SASL_SSL" + oauth("http://[::1]/"):                             nil,
		"security.protocol=SASL_SSL" + oauth("http://localhost/"):                         nil,
		"security.protocol=SASL_PLAINTEXT" + oauth("http://host.example/"):                {"token", "host.example"},
		"security.protocol=PLAINTEXT" + plain:                                             nil,
	} {
		c, err := parseConfig([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		said := strings.Join(c.Unencrypted, "\n")
		if len(c.Unencrypted) != len(want) || strings.Contains(said, "S3CRET") || slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(said, w) }) {
			t.Errorf("%s: %q, want %q", text, c.Unencrypted, want)
		}
	}
}

// A false broker must not make this client compute for hours.
func TestScramRounds(t *testing.T) {
	for _, name := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		m, err := mechanisms()[name].make(nil, map[string]string{"username": "u", "password": "p"})
		if err != nil {
			t.Fatal(err)
		}
		if m.Name() != name {
			t.Errorf("%s calls itself %s", name, m.Name())
		}
		for count, ok := range map[string]bool{"4096": true, "16384": true, "1000001": false, "2147483647": false, "9223372036854775807": false, "99999999999999999999": false, "4095": false, "+9999999": false, "": false} {
			session, first, err := m.Authenticate(t.Context(), "h")
			if err != nil {
				t.Fatal(err)
			}
			_, nonce, _ := strings.Cut(string(first), "r=")
			_, answer, err := session.Challenge([]byte("r=" + nonce + "x,s=c2FsdA==,i=" + count))
			if ok != (err == nil && len(answer) > 0) {
				t.Errorf("%s with i=%s: %q, %v", name, count, answer, err)
			}
		}
		session, _, _ := m.Authenticate(t.Context(), "h")
		for _, noise := range []string{"", "i=", ",,i=99999999999", "i=4096,i=99999999", "r=x"} {
			var s sasl.Session = session
			if _, _, err := s.Challenge([]byte(noise)); err == nil {
				t.Errorf("%q was taken", noise)
			}
		}
	}
}

// FuzzHide: of a text with a password in a URL, or in a bootstrap server, none is
// left, and what has none stays as it is.
func FuzzHide(f *testing.F) {
	for _, s := range []string{"http://", "a:1,kafka://u:", "x", "", "\n", "\"", "http://a b", "://", "h+1.2-x://u@v:"} {
		f.Add(s, ":9092")
	}
	f.Fuzz(func(t *testing.T, before, behind string) {
		if _, err := ParseBootstrap(before + "S3CRET@h" + behind); err == nil || strings.Contains(err.Error(), "S3CRET") && !strings.Contains(behind, "S3CRET") {
			t.Errorf("%q: %v", before+"S3CRET@h"+behind, err)
		}
		if got := HideUserInfo(before + " https://u:S3CRET@h " + behind); strings.Contains(got, "S3CRET") && !strings.Contains(before+behind, "S3CRET") {
			t.Errorf("%q", got)
		}
		if !strings.Contains(before, "@") && HideUserInfo(before) != before {
			t.Errorf("%q became %q", before, HideUserInfo(before))
		}
		for _, arg := range HideArguments([]string{"-b", before + "S3CRET@h", before, behind}) {
			if strings.Contains(arg, "S3CRET") && !strings.Contains(before+behind, "S3CRET") {
				t.Errorf("%q", arg)
			}
		}
	})
}

// FuzzScram: whatever a broker's messages are, answering them ends soon.
func FuzzScram(f *testing.F) {
	f.Add("x,s=c2FsdA==,i=4096", "v=x", true)
	f.Add("x,s=c2FsdA==,i=99999999999999999999", "e=no", true)
	f.Add("r=,s=,i=", "", false)
	f.Fuzz(func(t *testing.T, first, last string, nonce bool) {
		m, err := mechanisms()["SCRAM-SHA-256"].make(nil, map[string]string{"username": "u", "password": "p"})
		if err != nil {
			t.Fatal(err)
		}
		session, hello, err := m.Authenticate(t.Context(), "h")
		if err != nil {
			t.Fatal(err)
		}
		if _, own, found := strings.Cut(string(hello), "r="); nonce && found {
			first = "r=" + own + first
		}
		began := time.Now()
		if _, _, err := session.Challenge([]byte(first)); err == nil {
			if done, _, err := session.Challenge([]byte(last)); done && err == nil {
				t.Errorf("a broker that does not know the password was believed: %q, %q", first, last)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%q took %s", first, took)
		}
	})
}
