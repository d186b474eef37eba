// Validates agent cards with ajv, for the program beside it to measure. It is told where schemas and cards are by a file, and what to do by lines
// on standard input; it answers each with a line of JSON.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import Ajv from 'ajv'

const plan = JSON.parse(readFileSync(process.argv[2], 'utf8'))

// Compiled once: schemas become functions. Formats are switched off, since the schemas of A2A have none.
const compile = (allErrors) => {
  const ajv = new Ajv({ allErrors, strict: false, validateFormats: false, logger: false })
  return Object.fromEntries(Object.entries(plan.schemas).map(([version, file]) => [version, ajv.compile(JSON.parse(readFileSync(file, 'utf8')))]))
}
const every = compile(true)
const first = compile(false)

// A card that is not JSON is judged, too: it is invalid, with one error.
const parse = (text) => {
  try {
    return { card: JSON.parse(text.toString('utf8')) }
  } catch (error) {
    return { error }
  }
}
const judge = (validators) => ({ text, version }) => {
  const { card, error } = parse(text)
  if (error) return { valid: false, errors: [error] }
  const validate = validators[version]
  return { valid: validate(card), errors: validate.errors ?? [] }
}
const modes = { every: judge(every), first: judge(first), parse: ({ text }) => parse(text) }

const groups = Object.fromEntries(
  plan.groups.map(({ name, cards }) => [name, cards.map(({ file, version }) => ({ file, version, text: readFileSync(file) }))]),
)

// Seconds of processor time of this process, its helper threads included.
const used = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

const measure = (group, mode, span) => {
  const cards = groups[group]
  let count = 0
  let found = 0
  const begun = used()
  for (let now = begun; now < begun + span; now = used()) {
    for (const card of cards) {
      found += modes[mode](card).errors?.length ?? 0
      count++
    }
  }
  return { cards: count, found, seconds: used() - begun }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [what, group, mode, span] = line.split(' ')
  const answer = what === 'judge' ? groups[group].map((card) => modes.every(card).valid) : measure(group, mode, Number(span))
  console.log(JSON.stringify(answer))
}
