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
	// ErrGroup is returned for a grouping that Summary does not know.
	ErrGroup = fault.New(fault.Invalid, "usage_group", "group_by must be agent, model, provider or day").
			WithFields(fault.Field{Path: "query.group_by", Message: "must be agent, model, provider or day"})
)

// wholeBody is the path of a fault that no single field has.
const wholeBody = "body"
