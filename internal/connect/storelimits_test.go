package connect

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

type derAlgorithm struct {
	OID    asn1.ObjectIdentifier
	Params any
}

func der(t testing.TB, v any) []byte {
	t.Helper()
	out, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// storeWithMAC is a PKCS12 store whose checksum wants so many rounds.
func storeWithMAC(t testing.TB, rounds int) []byte {
	type contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"tag:0,explicit"`
	}
	safe := der(t, []contentInfo{{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, []byte{0x30, 0}}})
	return der(t, struct {
		Version int
		Safe    contentInfo
		Mac     struct {
			Digest struct {
				Algorithm derAlgorithm
				Digest    []byte
			}
			Salt   []byte
			Rounds int
		}
	}{Version: 3, Safe: contentInfo{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, safe},
		Mac: struct {
			Digest struct {
				Algorithm derAlgorithm
				Digest    []byte
			}
			Salt   []byte
			Rounds int
		}{Digest: struct {
			Algorithm derAlgorithm
			Digest    []byte
		}{derAlgorithm{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.NullRawValue}, make([]byte, 32)}, Salt: make([]byte, 8), Rounds: rounds}})
}

// encryptedKey is a PKCS8 key whose key derivation has the given parameters.
func encryptedKey(t testing.TB, kdf derAlgorithm) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der(t, struct {
		Algorithm derAlgorithm
		Data      []byte
	}{derAlgorithm{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}, struct{ KDF, Cipher derAlgorithm }{
		kdf, derAlgorithm{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, make([]byte, 16)}}}, make([]byte, 64)})})
}

// Stores that name a number of rounds, or sizes, which nobody has, cost neither
// time nor memory.
func TestHostileStores(t *testing.T) {
	pbkdf2 := derAlgorithm{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, struct {
		Salt   []byte
		Rounds int
	}{make([]byte, 8), 1<<31 - 1}}
	scrypt := derAlgorithm{oidScrypt, struct {
		Salt    []byte
		N, R, P int
	}{make([]byte, 8), 1 << 30, 8, 1}}
	jks := func(tail ...byte) []byte { return append([]byte{0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2}, tail...) }
	for name, text := range map[string][]byte{
		"2^31-1 rounds of a checksum":  storeWithMAC(t, 1<<31-1),
		"2^31-1 rounds of PBKDF2":      encryptedKey(t, pbkdf2),
		"a TiB of scrypt":              encryptedKey(t, scrypt),
		"JKS with 2^32-1 entries":      jks(0xff, 0xff, 0xff, 0xff),
		"JKS with a key of 4 GiB":      jks(0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
		"JKS with 2^32-1 certificates": jks(0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
		"JKS with a certificate of 4G": jks(0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "store")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 2)
			go func() {
				_, err := readKeyStore(file, "", "password", "password")
				done <- err
				_, err = readTrustStore(file, "", "password")
				done <- err
			}()
			for range 2 {
				select {
				case err := <-done:
					t.Log(err)
					if err == nil {
						t.Error("it was taken")
					}
				case <-time.After(5 * time.Second):
					t.Fatal("not done after 5 s")
				}
			}
		})
	}
}

// ownStore is a key and its certificate, in all kinds of stores.
func ownStores(t testing.TB) map[string][]byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for name, encoder := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern, "legacy": pkcs12.Legacy} {
		if out[name], err = encoder.WithIterations(2048).Encode(key, cert, nil, "password"); err != nil {
			t.Fatal(err)
		}
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	ks := keystore.New()
	if err := ks.SetPrivateKeyEntry("x", keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: plain, CertificateChain: []keystore.Certificate{{Type: "X509", Content: raw}}}, []byte("password")); err != nil {
		t.Fatal(err)
	}
	if err := ks.SetTrustedCertificateEntry("ca", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: keystore.Certificate{Type: "X509", Content: raw}}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := ks.Store(&b, []byte("password")); err != nil {
		t.Fatal(err)
	}
	out["jks"] = b.Bytes()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	for name, kdf := range map[string]pkcs8.KDFOpts{"pbkdf2": pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 4096, HMACHash: crypto.SHA256}, "scrypt": pkcs8.ScryptOpts{SaltSize: 8, CostParameter: 1 << 14, BlockSize: 8, ParallelizationParameter: 1}} {
		encrypted, err := pkcs8.MarshalPrivateKey(key, []byte("password"), &pkcs8.Opts{Cipher: pkcs8.AES256CBC, KDFOpts: kdf})
		if err != nil {
			t.Fatal(err)
		}
		out[name] = append(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: encrypted}), certificate...)
	}
	return out
}

// What the bounds must let through.
func TestOwnStores(t *testing.T) {
	for name, text := range ownStores(t) {
		file := filepath.Join(t.TempDir(), "store")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readKeyStore(file, "", "password", "password")
		if err != nil || c.PrivateKey == nil || len(c.Certificate) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzStores: whatever a store is, opening it ends, without a panic.
func FuzzStores(f *testing.F) {
	for _, text := range ownStores(f) {
		f.Add(text)
	}
	f.Add(storeWithMAC(f, 1<<31-1))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		file := filepath.Join(dir, "store")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, _ = readKeyStore(file, "", "password", "password") // either is right
		_, _ = readTrustStore(file, "", "password")
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
