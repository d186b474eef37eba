package usage

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package.
var (
	// ErrInvalid is returned for a request that cannot be right as it is; its fields say what is wrong and where.
	ErrInvalid = fault.New(fault.Invalid, "invalid_request", "the request is not valid")
	// ErrCostOverflow is returned for a count of tokens whose cost leaves int64 picodollars, about nine million
	// dollars.
	ErrCostOverflow = fault.New(fault.Invalid, "usage_cost_overflow", "the cost of so many tokens cannot be represented").
			WithFields(fault.Field{Path: wholeBody, Message: "so many tokens cost more than can be represented"})
	// ErrPriceOverlap is returned for a price that says that it ends after another of the same provider and model has begun.
	ErrPriceOverlap = fault.New(fault.Invalid, "price_overlap", "another price of this model begins before this one ends").
			WithFields(fault.Field{Path: "valid_until", Message: "must not be later than the beginning of another price of this model"})
	// ErrTooManyPrices is returned when a tenant would have more than MaxOwnPrices of its own.
	ErrTooManyPrices = fault.New(fault.Conflict, "too_many_prices", "at most 1000 prices of one's own are allowed")
	// ErrGroup is returned for a grouping that Summary does not know.
	ErrGroup = fault.New(fault.Invalid, "usage_group", "group_by must be agent, model, provider or day").
			WithFields(fault.Field{Path: "query.group_by", Message: "must be agent, model, provider or day"})
)

// wholeBody is the path of a fault that no single field has.
const wholeBody = "body"
