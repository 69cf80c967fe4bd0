package connect_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"offsets/internal/connect"
	"offsets/internal/sandbox"
)

func TestParseBootstrap(t *testing.T) {
	got, err := connect.ParseBootstrap(" a:1, [::1]:9092 ,c:65535,")
	if want := []string{"a:1", "[::1]:9092", "c:65535"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, s := range []string{"", ",", "host", "host:", "host:0", "host:65536", "host:x", ":9092", "a:1,b", "kafka://a:1"} {
		if got, err := connect.ParseBootstrap(s); err == nil {
			t.Errorf("ParseBootstrap(%q) = %v, want an error", s, got)
		}
	}
}

func TestReadConfig(t *testing.T) {
	read := func(text string) (connect.Config, error) {
		file := filepath.Join(t.TempDir(), "client.properties")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return connect.ReadConfig(file)
	}
	got, err := read("# c\n! c\nbootstrap.servers=a:1,\\\n  b:2\nclient.id : n\\u00e4m\nrequest.timeout.ms 1500\nsecurity.protocol=PLAINTEXT\n")
	want := connect.Config{Bootstrap: []string{"a:1", "b:2"}, ClientID: "näm", RequestTimeout: 1500 * time.Millisecond, Properties: []connect.Property{
		{Key: "bootstrap.servers", Value: "a:1,b:2"}, {Key: "client.id", Value: "näm"}, {Key: "request.timeout.ms", Value: "1500"}, {Key: "security.protocol", Value: "PLAINTEXT"},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for text, want := range map[string]string{
		"sasl.login.class=x\nssl.engine.factory.class=y":         "not supported: sasl.login.class, ssl.engine.factory.class",
		"security.protocol=TLS":                                  "security.protocol: unknown protocol \"TLS\"",
		"security.protocol=SASL_SSL":                             "sasl.mechanism is not set",
		"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN": "sasl.mechanism needs sasl.jaas.config",
		"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=a.PlainLoginModule required username=\"u\" password=\"hunter2\"": "does not end with a semicolon",
		"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=a.PlainLoginModule required username=\"u\";":                     "password is missing",
		"security.protocol=SSL\nssl.truststore.certificates=nothing":                                                                               "no certificate in PEM form",
		"security.protocol=SSL\nssl.enabled.protocols=SSLv3":                                                                                       "want TLSv1.2 and TLSv1.3",
		"security.protocol=SSL\nssl.endpoint.identification.algorithm=ldaps":                                                                       "want https",
		"request.timeout.ms=soon":   "request.timeout.ms: want milliseconds",
		"bootstrap.servers=nowhere": "bootstrap.servers: ",
	} {
		_, err := read(text)
		var config *connect.ConfigError
		if !errors.As(err, &config) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := connect.ReadConfig("/no/such/file"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// A refused port fails in far less than the timeout; a silent one within it.
func TestUnreachable(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, tt := range map[string]struct {
		servers []string
		timeout time.Duration
		within  time.Duration
	}{
		"refused":             {[]string{"127.0.0.1:1"}, 30 * time.Second, 5 * time.Second},
		"silent":              {[]string{silent.Addr().String()}, time.Second, 4 * time.Second},
		"refused and silent":  {[]string{"127.0.0.1:1", silent.Addr().String()}, time.Second, 4 * time.Second},
		"name does not exist": {[]string{"no-such-host.invalid:9092"}, 5 * time.Second, 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			cl, err := connect.Open(context.Background(), connect.Options{Bootstrap: tt.servers, Timeout: tt.timeout})
			var unreachable *connect.UnreachableError
			if !errors.As(err, &unreachable) {
				t.Fatalf("got %v, %v; want an UnreachableError", cl, err)
			}
			if took := time.Since(began); took > tt.within {
				t.Errorf("took %s, want at most %s", took, tt.within)
			}
			t.Log(err)
		})
	}
}

// Watch ends the work when the brokers are gone, and not before.
func TestWatch(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cl, err := connect.Open(t.Context(), connect.Options{Bootstrap: []string{s.Addr}, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := connect.Watch(t.Context(), cl, 500*time.Millisecond)
	defer cancel()
	time.Sleep(1500 * time.Millisecond)
	if ctx.Err() != nil {
		t.Fatalf("ended although the broker answers: %v", context.Cause(ctx))
	}
	s.Close()
	select {
	case <-ctx.Done():
	case <-time.After(15 * time.Second):
		t.Fatal("goes on without a broker")
	}
	var silent *connect.SilentError
	if !errors.As(context.Cause(ctx), &silent) {
		t.Errorf("cause: %v", context.Cause(ctx))
	}
}
