package offline

import "strings"

// role says what a property is for, which decides where in a clause its value is looked for.
type role uint8

const (
	roleOther role = iota
	roleAmount
	roleCurrency
	roleEmail
	roleURL
	roleHost
	roleDay
	roleFormula
	rolePath
	roleRecipient
	rolePlace
	roleFrom
	roleTo
	rolePurpose
	roleBody
	roleTitle
	roleSubject
	roleQuery
	roleCode
	roleUnit
	roleID
)

// roleWords are the words by which properties are named, by role.
var roleWords = map[string]role{
	"amount": roleAmount, "price": roleAmount, "sum": roleAmount, "total": roleAmount, "cost": roleAmount, "fee": roleAmount,
	"currency": roleCurrency,
	"email":    roleEmail, "mail": roleEmail, "cc": roleEmail, "bcc": roleEmail,
	"url": roleURL, "uri": roleURL, "link": roleURL, "href": roleURL, "webpage": roleURL, "website": roleURL, "endpoint": roleURL,
	"host": roleHost, "hostname": roleHost, "domain": roleHost,
	"date": roleDay, "deadline": roleDay, "due": roleDay, "day": roleDay, "datetime": roleDay, "timestamp": roleDay, "when": roleDay,
	"expression": roleFormula, "formula": roleFormula, "equation": roleFormula, "calculation": roleFormula, "arithmetic": roleFormula,
	"path": rolePath, "file": rolePath, "filename": rolePath, "filepath": rolePath, "directory": rolePath, "folder": rolePath,
	"payee": roleRecipient, "recipient": roleRecipient, "vendor": roleRecipient, "merchant": roleRecipient, "seller": roleRecipient,
	"beneficiary": roleRecipient, "receiver": roleRecipient, "destination": roleRecipient, "supplier": roleRecipient,
	"channel": roleRecipient, "user": roleRecipient, "username": roleRecipient, "assignee": roleRecipient, "agent": roleRecipient,
	"customer": roleRecipient, "contact": roleRecipient, "attendee": roleRecipient, "attendees": roleRecipient, "recipients": roleRecipient,
	"city": rolePlace, "location": rolePlace, "place": rolePlace, "town": rolePlace, "country": rolePlace, "region": rolePlace,
	"from": roleFrom, "source": roleFrom, "origin": roleFrom,
	"to": roleTo, "target": roleTo,
	"description": rolePurpose, "reason": rolePurpose, "purpose": rolePurpose, "memo": rolePurpose, "note": rolePurpose, "reference": rolePurpose,
	"message": roleBody, "body": roleBody, "content": roleBody, "text": roleBody, "comment": roleBody, "input": roleBody, "sentence": roleBody,
	"title": roleTitle, "name": roleTitle, "summary": roleTitle, "label": roleTitle,
	"subject": roleSubject, "topic": roleSubject,
	"query": roleQuery, "question": roleQuery, "search": roleQuery, "keyword": roleQuery, "keywords": roleQuery, "prompt": roleQuery, "term": roleQuery, "q": roleQuery,
	"command": roleCode, "code": roleCode, "script": roleCode, "sql": roleCode, "regex": roleCode, "pattern": roleCode, "program": roleCode,
	"unit": roleUnit, "units": roleUnit,
}

// roleOf tells a property's role by its format, else its name, else, for names that say nothing, its description.
func roleOf(p node) role {
	switch p.format {
	case "email", "idn-email":
		return roleEmail
	case "uri", "url", "iri", "uri-reference":
		return roleURL
	case "hostname", "idn-hostname":
		return roleHost
	case "date", "date-time":
		return roleDay
	}
	ws := words(p.name)
	found := roleOther
	if len(ws) > 1 && (ws[len(ws)-1] == "id" || ws[len(ws)-1] == "number") {
		return roleID
	}
	for i, w := range ws {
		r, ok := roleWords[w]
		if !ok {
			continue
		}
		// The last word of a name is its noun ("due_date", "file_name"), save that "from_unit" goes by its first.
		if i == 0 || r != roleTitle && found != roleFrom && found != roleTo {
			found = r
		}
	}
	if found == roleFrom || found == roleTo || found == roleRecipient {
		if mentions(p.desc, "email", "e-mail", "mail address") && found != roleRecipient {
			return roleEmail
		}
		if found == roleTo && mentions(p.desc, "recipient", "payee", "receiver", "who ", "whom", "user", "channel") {
			return roleRecipient
		}
	}
	if found != roleOther && !(found == roleBody && len(ws) == 1 && ws[0] == "input") {
		return found
	}
	for _, w := range words(p.desc) {
		switch r := roleWords[w]; r {
		case roleFormula, roleURL, roleEmail, roleCurrency, roleAmount, rolePlace:
			return r
		}
	}
	return found
}

func mentions(text string, parts ...string) bool {
	text = strings.ToLower(text) + " "
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
