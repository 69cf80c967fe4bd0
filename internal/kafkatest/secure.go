package kafkatest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Secure says how a broker proves itself, and whom it believes. Who comes over
// the plain listener may do everything; others what ACLs allow.
type Secure struct {
	// KeyStore is a private key (PKCS 8) and its certificate, in PEM.
	KeyStore string
	// ClientCA signs the certificates of clients, in PEM.
	ClientCA string
	// Users log in with PLAIN; those who shall use SCRAM are made afterwards.
	Users map[string]string
	// Super may do everything, too.
	Super []string
}

func (k *Cluster) secure(props map[string]string, s *Secure) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	k.SASL, k.MTLS = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	keys, trusted := filepath.Join(k.dir, "broker.pem"), filepath.Join(k.dir, "clients.pem")
	for file, text := range map[string]string{keys: s.KeyStore, trusted: s.ClientCA} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	plain := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for user, password := range s.Users {
		plain += fmt.Sprintf(" user_%s=\"%s\"", user, password)
	}
	super := "User:ANONYMOUS"
	for _, user := range s.Super {
		super += ";User:" + user
	}
	props["listeners"] += fmt.Sprintf(",SASL_SSL://%s,SSL://%s", k.SASL, k.MTLS)
	for name, value := range map[string]string{
		"listener.security.protocol.map":                        "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
		"ssl.keystore.type":                                     "PEM",
		"ssl.keystore.location":                                 keys,
		"ssl.truststore.type":                                   "PEM",
		"ssl.truststore.location":                               trusted,
		"listener.name.ssl.ssl.client.auth":                     "required",
		"sasl.enabled.mechanisms":                               "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"listener.name.sasl_ssl.plain.sasl.jaas.config":         plain + ";",
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
		// Without a key set it takes unsigned tokens.
		"listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";",
		"authorizer.class.name":                               "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                                         super,
		"allow.everyone.if.no.acl.found":                      "false",
	} {
		props[name] = strings.ReplaceAll(value, "\n", " ")
	}
	return nil
}
