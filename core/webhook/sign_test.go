package webhook_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/webhook"
)

// The example of the Standard Webhooks specification's libraries.
var (
	vectorSecret = secret.NewValue("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	vectorBody   = []byte(`{"test": 2432232314}`)
	vectorAt     = time.Unix(1614265330, 0)
)

const (
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestSign(t *testing.T) {
	t.Parallel()
	if got := webhook.Sign(vectorSecret, vectorID, vectorAt, vectorBody); got != vectorSignature {
		t.Errorf("Sign is %q; want %q", got, vectorSignature)
	}
	// Both ways of writing one key sign alike.
	plain, wrapped := secret.NewValue("0123456789abcdef01234567"), secret.NewValue("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3")
	if a, b := webhook.Sign(plain, "i", vectorAt, nil), webhook.Sign(wrapped, "i", vectorAt, nil); a != b {
		t.Errorf("%q and %q", a, b)
	}
	// A well-known example of HMAC-SHA256.
	const want = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
	if got := webhook.SignValta(secret.NewValue("key"), []byte("The quick brown fox jumps over the lazy dog")); got != want {
		t.Errorf("SignValta is %q; want %q", got, want)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		secret                   secret.Value
		id, timestamp, signature string
		body                     []byte
		now                      time.Time
		ok                       bool
	}{
		"good":              {vectorSecret, vectorID, "1614265330", vectorSignature, vectorBody, vectorAt, true},
		"one of several":    {vectorSecret, vectorID, "1614265330", "v1,AAAA v2,x " + vectorSignature, vectorBody, vectorAt, true},
		"oldest":            {vectorSecret, vectorID, "1614265330", vectorSignature, vectorBody, vectorAt.Add(webhook.Tolerance), true},
		"replayed":          {vectorSecret, vectorID, "1614265330", vectorSignature, vectorBody, vectorAt.Add(webhook.Tolerance + time.Second), false},
		"from the future":   {vectorSecret, vectorID, "1614265330", vectorSignature, vectorBody, vectorAt.Add(-webhook.Tolerance - time.Second), false},
		"other timestamp":   {vectorSecret, vectorID, "1614265331", vectorSignature, vectorBody, vectorAt, false},
		"no timestamp":      {vectorSecret, vectorID, "", vectorSignature, vectorBody, vectorAt, false},
		"other id":          {vectorSecret, "msg_2", "1614265330", vectorSignature, vectorBody, vectorAt, false},
		"other body":        {vectorSecret, vectorID, "1614265330", vectorSignature, []byte(`{"test": 2432232315}`), vectorAt, false},
		"other secret":      {secret.NewValue("whsec_AAAA"), vectorID, "1614265330", vectorSignature, vectorBody, vectorAt, false},
		"no signature":      {vectorSecret, vectorID, "1614265330", "", vectorBody, vectorAt, false},
		"version left away": {vectorSecret, vectorID, "1614265330", vectorSignature[3:], vectorBody, vectorAt, false},
	} {
		header := map[string]string{webhook.HeaderID: tc.id, webhook.HeaderTimestamp: tc.timestamp, webhook.HeaderSignature: tc.signature}
		err := webhook.Verify(tc.secret, func(name string) string { return header[name] }, tc.body, tc.now)
		if tc.ok != (err == nil) || err != nil && !errors.Is(err, webhook.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(vectorID, "1614265330", vectorSignature, vectorBody)
	f.Add("", "-1", "v1, ,", []byte(nil))
	f.Fuzz(func(t *testing.T, messageID, timestamp, signature string, body []byte) {
		header := map[string]string{webhook.HeaderID: messageID, webhook.HeaderTimestamp: timestamp, webhook.HeaderSignature: signature}
		err := webhook.Verify(vectorSecret, func(name string) string { return header[name] }, body, vectorAt)
		// The text of the timestamp may differ, as in "+1614265330", but not what is signed.
		if err == nil && (messageID != vectorID || string(body) != string(vectorBody)) {
			t.Errorf("forged: %q %q %q %q", messageID, timestamp, signature, body)
		}
	})
}
