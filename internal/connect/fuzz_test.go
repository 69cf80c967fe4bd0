package connect

import (
	"strings"
	"testing"
)

// Whatever a properties file says: no panic, a value is not changed on its way,
// and no secret is in an error or in what is shown.
func FuzzParseConfig(f *testing.F) {
	for _, text := range []string{
		"bootstrap.servers=a:1,b:2\nclient.id=x\nrequest.timeout.ms=5",
		"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=a.PlainLoginModule required username=\"u\" password=\"SECRET${HOME}\";",
		"security.protocol=SSL\nssl.keystore.type=PEM\nssl.keystore.key=SECRET\nssl.keystore.certificate.chain=x\nssl.key.password=SECRET",
		"security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.token.endpoint.url=https://x/y\nsasl.jaas.config=a.OAuthBearerLoginModule required clientId=\"a\" clientSecret=\"SECRET\";",
		"security.protocol=SASL_SSL\nsasl.mechanism=GSSAPI\nsasl.jaas.config=a.Krb5LoginModule required useKeyTab=true keyTab=\"/no\" principal=\"a@B\";\nsasl.kerberos.service.name=kafka",
		"a=${a}\n", "client.id=${client.id}", "\\", "client.id = a \\\n b", "ssl.truststore.password=SECRET",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig([]byte(text))
		if err != nil {
			// A key may be anything, so look only where no key has the word.
			if strings.Contains(err.Error(), "SECRET") && !secretInKey(text) {
				t.Errorf("the error quotes a secret: %v", err)
			}
			return
		}
		for _, p := range c.Properties {
			if p.Secret != secret(p.Key) || p.Secret && p.Value != Hidden {
				t.Errorf("%s is shown: %q", p.Key, p.Value)
			}
		}
		for _, server := range c.Bootstrap {
			if strings.TrimSpace(server) == "" {
				t.Errorf("an empty server from %q", text)
			}
		}
	})
}

// secretInKey: the word stands where its text is no secret: in a key, or as the
// value of one that is shown.
func secretInKey(text string) bool {
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		key, value, _ := strings.Cut(line, "=")
		if strings.Contains(key, "SECRET") || strings.Contains(value, "SECRET") && !secret(strings.TrimSpace(key)) {
			return true
		}
	}
	return false
}
