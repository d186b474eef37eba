// Package native is the HTTP API of Bureau itself, under /v1. One file per area registers its operations; account.go is the one to
// start from.
//
// To add an operation, put its service into Deps (and, if it is required, into Deps.validate), write func (f *face) register<Area>()
// in <area>.go, and call it in New:
//
//	type getThingInput struct {
//		ThingID string `path:"thing_id" doc:"The thing's id."`
//	}
//
//	httpx.Register(f.Face, httpx.Op{
//		ID: "getThing", Method: http.MethodGet, Path: "/v1/things/{thing_id}", Tag: "things",
//		Summary: "Read a thing", Permission: account.AgentsRead,
//	}, func(ctx context.Context, in *getThingInput) (*output[thingWire], error) {
//		thing, err := id.Parse[id.ThingKind](in.ThingID) // what cannot be parsed is a 404
//		if err != nil {
//			return nil, err // a *fault.Error becomes status and envelope, anything else a logged 500
//		}
//		t, err := f.deps.Things.Get(ctx, httpx.Scope(ctx), thing)
//		if err != nil {
//			return nil, err
//		}
//		return ok(showThing(t)), nil
//	})
//
// The rules:
//
//   - No business rule here: decode, call the service with httpx.Scope(ctx), encode.
//   - A JSON body is a field Body. Required fields have no omitempty; optional ones have it, and are pointers where absence means
//     something. Schemas are as strict as the service: minLength, maxLength, minimum, enum, pattern, nullable:"false" on arrays that
//     must not be null. Never format or pattern on an id: one that names nothing is a 404 and not a 400. Not uniqueItems on objects.
//   - Unknown body fields are ignored; Op.Strict refuses them (policies, wallets, keys, tenants).
//   - Wire structs end in Wire. What is embedded, in inputs too, has an exported type: huma does not see others. Times are written by stampOf and stampPtr.
//   - Lists embed httpx.PageQuery in the input and answer httpx.NewList(page, show). The tag of a new group goes into tags.
//   - A POST gets its Idempotency-Key for nothing. Op.Secret seals stored answers that hold a secret. Op.OwnIdempotency is for acts of
//     the gate, which take httpx.ActKey(ctx) as their key.
//   - 400, 401, 403, 404, 408, 409, 413 and 429 are documented where they can happen; Op.Statuses names what else the service
//     answers: 402, 403 of a plan, 409 of a PATCH, 501.
//   - Events: httpx.RegisterStream with Produces httpx.ContentEvents and httpx.ServeEvents. Files: Op.Upload and httpx.Body(ctx).
//   - Public routes stand in the list public in native.go and nowhere else.
package native
