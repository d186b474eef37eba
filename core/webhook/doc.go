// Package webhook tells programs outside what happens: somebody was frozen, an act waits for an approval, a budget is nearly spent.
//
// A Notice is stored in the transaction of what it tells of, so that it exists if and only if that happened; in the same transaction it is
// queued for every Webhook of the tenant that wants its kind. Notices are listed for 30 days, whether a webhook wanted them or not.
//
// # Delivery
//
// A Delivery is a notice on its way to one webhook. It is a row that processes lease: one of them sends it, and records what came of
// it. Deliveries are made at least once. A process that dies between sending and recording loses its lease, and another one sends the same body
// with the same webhook-id once more; receivers that must not act twice keep the ids that they have seen.
//
// The deliveries of one webhook are made in the order in which their notices were stored, and none before the one ahead of it has
// arrived or was given up. Notices of transactions that ran at the same time may stand in either order. Tests, and deliveries that somebody
// asks for again, wait in a lane of their own and so come out of turn.
//
// Anything but a status from 200 to 299 within 10 seconds is a failure; redirects are not followed. A failed delivery is tried again
// after 1 s, 5 s, 30 s, 2 min and 10 min, then given up. An address that may not be reached is given up at once. A webhook of which
// Config.DisableAfter deliveries in a row were given up, or that answers 410 Gone, is disabled, and says why; what waits for it is given up.
//
// # Signatures
//
// Each request carries two signatures; either is enough.
//
//   - x-valta-signature is the HMAC-SHA256 of the raw body in hexadecimal. Its key is the secret's text as it stands.
//   - webhook-id, webhook-timestamp and webhook-signature are those of the Standard Webhooks specification 1.0.0: the HMAC-SHA256 of
//     "id.timestamp.body" in base64 behind "v1,". Its key is what the base64 behind "whsec_" says, or the text of a secret without that
//     prefix. The timestamp, in Unix seconds, is that of the attempt, so that a recorded request cannot be replayed later; Verify checks it.
//
// For a while after a secret was rotated, webhook-signature holds two signatures with a space in between, the new secret's first, and
// x-valta-signature-previous holds what x-valta-signature would be with the old secret.
package webhook
