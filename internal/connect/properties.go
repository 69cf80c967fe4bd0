package connect

import (
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magiconair/properties"
	"github.com/twmb/franz-go/pkg/sasl"
)

// Config is what a Java client.properties file says. Zero values mean that the
// file does not say.
type Config struct {
	Bootstrap       []string
	ClientID        string
	RequestTimeout  time.Duration // request.timeout.ms
	DialTimeout     time.Duration // socket.connection.setup.timeout.ms
	ConnIdleTimeout time.Duration // connections.max.idle.ms
	MetadataMaxAge  time.Duration // metadata.max.age.ms
	// TLS and SASL are of security.protocol, ssl.* and sasl.*; nil for none.
	TLS  *tls.Config
	SASL sasl.Mechanism
	// Unencrypted tells of secrets that go over the network for everybody to read.
	Unencrypted []string
	// Properties is what the file says, as it stands there, but for secrets.
	Properties []Property
}

// Property is a key of the file and its value.
type Property struct {
	Key    string
	Value  string // [Hidden] for a secret
	Secret bool
}

// Hidden stands for a secret.
const Hidden = "[hidden]"

// secret: the value of this key is for nobody's eyes. Whole texts count, too,
// that have a secret in them.
func secret(key string) bool {
	switch key {
	case keyTrustPassword, keyStorePassword, keyStoreKey, keyKeyPassword, keyJAAS, keyTokenSecret:
		return true
	}
	return false
}

// ConfigError is a properties file that cannot be used: the caller's mistake,
// not the cluster's.
type ConfigError struct {
	File string
	Err  error
}

func (e *ConfigError) Error() string { return HideUserInfo(fmt.Sprintf("%s: %v", e.File, e.Err)) }
func (e *ConfigError) Unwrap() error { return e.Err }

// ReadConfig reads a Java .properties file. A key it does not know is refused
// by name: a security setting that is silently ignored would connect in
// another way than the file says.
func ReadConfig(file string) (Config, error) {
	fail := func(err error) (Config, error) { return Config{}, &ConfigError{File: file, Err: err} }
	text, err := os.ReadFile(file)
	if err != nil {
		return fail(err)
	}
	c, err := parseConfig(text)
	if err != nil {
		return fail(err)
	}
	return c, nil
}

// parseConfig is [ReadConfig] of a file's text. Errors never quote a secret.
func parseConfig(text []byte) (Config, error) {
	fail := func(err error) (Config, error) { return Config{}, err }
	// Java does not expand ${x} in property files; the library does by default,
	// and would drop it from a password.
	loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	p, err := loader.LoadBytes(text)
	if err != nil {
		return fail(err)
	}
	var c Config
	millis := func(dst *time.Duration) func(string) error {
		return func(v string) error {
			ms, err := strconv.ParseInt(v, 10, 64)
			if err != nil || ms < 0 {
				return fmt.Errorf("want milliseconds, got %q", v)
			}
			*dst = time.Duration(ms) * time.Millisecond
			return nil
		}
	}
	keys := map[string]func(string) error{
		"bootstrap.servers":                  func(v string) (err error) { c.Bootstrap, err = ParseBootstrap(v); return err },
		"client.id":                          func(v string) error { c.ClientID = v; return nil },
		"request.timeout.ms":                 millis(&c.RequestTimeout),
		"socket.connection.setup.timeout.ms": millis(&c.DialTimeout),
		"connections.max.idle.ms":            millis(&c.ConnIdleTimeout),
		"metadata.max.age.ms":                millis(&c.MetadataMaxAge),
	}
	secure := security{}
	for _, key := range securityKeys() {
		keys[key] = func(v string) error { secure[key] = v; return nil }
	}
	var unknown []string
	for _, key := range p.Keys() {
		set, ok := keys[key]
		if !ok {
			unknown = append(unknown, key)
			continue
		}
		value, _ := p.Get(key)
		if err := set(strings.TrimSpace(value)); err != nil {
			return fail(fmt.Errorf("%s: %w", key, err))
		}
		switch {
		case secret(key):
			value = Hidden
		case key == keyTokenURL:
			value = shownURL(value)
		default:
			value = HideUserInfo(value)
		}
		c.Properties = append(c.Properties, Property{Key: key, Value: strings.TrimSpace(value), Secret: secret(key)})
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fail(fmt.Errorf("not supported: %s", strings.Join(unknown, ", ")))
	}
	if c.TLS, c.SASL, err = secure.config(); err != nil {
		return fail(err)
	}
	c.Unencrypted = secure.unencrypted()
	return c, nil
}
