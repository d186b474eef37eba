package offline

import "strings"

// class is what a verb is about. Tools and orders that share one fit each other although their words differ.
type class string

// verbClasses are the verbs of everyday orders, by what they are about. Those marked change something outside.
var verbClasses = []struct {
	class   class
	changes bool
	verbs   string
}{
	{"pay", true, "pay settle transfer send give remit wire reimburse compensate disburse tip donate"},
	{"send", true, "send email mail message post notify write dm ping text deliver forward tell reply publish announce"},
	{"create", true, "create open make add file raise register start set build generate insert log append"},
	{"delete", true, "delete remove erase drop cancel destroy purge clear discard revoke"},
	{"update", true, "update change modify edit rename adjust set assign mark move replace patch close"},
	{"schedule", true, "schedule book plan reserve arrange"},
	{"run", true, "run execute launch start trigger deploy restart stop invoke"},
	{"buy", true, "buy purchase order subscribe"},
	{"remember", true, "remember store save memorize memorise note record keep"},
	{"upload", true, "upload push submit import sync"},
	{"compute", false, "compute calculate evaluate solve work figure add subtract multiply divide sum total"},
	{"fetch", false, "fetch get download retrieve load open read visit request curl pull grab"},
	{"search", false, "search find look query lookup google seek ask recall retrieve"},
	{"convert", false, "convert translate transform turn express"},
	{"count", false, "count tally measure"},
	{"list", false, "list show display enumerate view"},
	{"check", false, "check verify validate test inspect analyze analyse"},
	{"describe", false, "describe explain summarize summarise outline"},
	{"roll", false, "roll flip pick choose draw"},
	{"use", false, "use call try apply invoke"},
}

// lexicon is verbClasses turned round.
type lexicon struct {
	classes map[string][]class // by base form
	stems   map[string][]class
	changes map[class]bool
}

func newLexicon() *lexicon {
	l := &lexicon{classes: map[string][]class{}, stems: map[string][]class{}, changes: map[class]bool{}}
	for _, c := range verbClasses {
		l.changes[c.class] = c.changes
		for _, v := range strings.Fields(c.verbs) {
			l.classes[v] = append(l.classes[v], c.class)
			l.stems[stem(v)] = append(l.stems[stem(v)], c.class)
		}
	}
	return l
}

// set makes a set of the words of a line.
func set(line string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(line) {
		out[w] = true
	}
	return out
}

// vocabulary holds the closed word classes of English that the rules need.
type vocabulary struct {
	*lexicon
	stop, generic, questions, prepositions, conditions, later, determiners, speech, introduce, pronouns, quoting, light, neutral, nouns map[string]bool

	nominals                          map[string]class
	courtesies, frames, asks, endings [][]string
}

func phrases(lines string) [][]string {
	var out [][]string
	for _, line := range strings.Split(lines, ",") {
		out = append(out, strings.Fields(line))
	}
	return out
}

func newVocabulary() *vocabulary {
	return &vocabulary{
		lexicon: newLexicon(),
		stop: set(`a an the this that these those and or but if of to in on at for from with by as is are was were be been being am
			do does did have has had i you he she it we they me him her us them my your his its our their what which who whom whose
			when where why how can could will would shall should may might must please so than too very just not no nor about into
			over under again there here all any some much many more most other such only own same now then also there's what's it's
			let's i'm i'd i'll we're you're he's she's that's who's where's how's don't doesn't didn't isn't aren't wasn't won't
			tell know say says said like want need give`),
		generic: set(`tool skill use agent text string number value data inform current given return result name get one input call
			function argument paramet provid from user thing list type`),
		questions: set(`what what's whats who who's whom whose when when's where where's why which how how's is are am was were do does
			did has have had can could should shall may might would will won't isn't aren't wasn't weren't didn't doesn't don't
			haven't hasn't couldn't can't whether`),
		prepositions: set(`to for from with at in on by about regarding concerning re into onto via using under towards toward through near
			within against because called titled named entitled saying due as that which than until and then of`),
		conditions: set("if unless until once whenever provided assuming except otherwise lest"),
		later: set(`tomorrow tonight later weekly monthly daily yearly annually hourly every each monday tuesday wednesday thursday friday
			saturday sunday next soon eventually sometime someday maybe perhaps possibly yesterday`),
		determiners: set("the a an my our your this that these those all any some it me us him her them his their its both"),
		speech:      set("saying says telling stating reading titled called named entitled"),
		introduce:   set("it it's its it’s this that that's these for with use set due and also they"),
		pronouns:    set("i we he she they you it this that there my our"),
		quoting:     set("said says say wrote writes asked asks wants wanted told tells mentioned claims reads stated states instructs demands"),
		neutral:     set("tell use call apply try keep work ask set start open note mark"),
		nouns:       set("order book record file mail email text message post plan note mark tip purchase import log"),
		light:       set("make do perform issue initiate process execute run carry arrange send create place start trigger"),
		nominals: map[string]class{
			"payment": "pay", "transfer": "pay", "remittance": "pay", "settlement": "pay", "donation": "pay", "purchase": "buy", "order": "buy",
			"calculation": "compute", "computation": "compute", "conversion": "convert", "search": "search", "lookup": "search",
			"count": "count", "reservation": "schedule", "booking": "schedule", "appointment": "schedule", "note": "remember",
		},
		courtesies: phrases(`please,pls,plz,kindly,hey,hi,hello,dear,ok,okay,alright,right,now,first,firstly,second,secondly,third,thirdly,next,finally,
			lastly,also,then,and,so,but,just,quickly,immediately,well,thanks,thank you,good morning,good evening,good afternoon,after that,
			afterwards,afterward,in addition,additionally,furthermore,plus,once done,when done,great,perfect,yes,sure,actually,simply,again`),
		frames: phrases(`can you,could you,would you,will you,can u,could u,i want you to,i need you to,i'd like you to,
			i would like you to,i want to,i need to,i'd like to,i would like to,i'd love to,we need to,we want to,we'd like to,we would like to,
			let's,let us,go ahead and,make sure to,make sure you,make sure that you,be sure to,please do,don't forget to,do not forget to,don't hesitate to,do not hesitate to,
			remember to,try to,help me to,help me,help us,you should,you must,you need to,you have to,your task is to,your job is to,
			would you mind,do you mind,do me a favor and,do me a favour and,feel free to,i ask you to,it is time to,it's time to,you may,you can`),
		asks: phrases(`tell me,let me know,give me,i want to know,i'd like to know,i would like to know,do you know,do you happen to know,i wonder,
			i was wondering,explain to me,remind me,i need to know,we need to know,i am curious,i'm curious,find out,figure out,work out,
			show me,answer this,question`),
		endings: phrases(`please,thanks,thank you,thank you very much,thanks a lot,many thanks,cheers,asap,as soon as possible,right away,right now,
			immediately,now,for me,for us,if possible,if you can,if you could,if you please,if you like,if you don't mind,when you can,
			when you get a chance,when you have time,first,too,as well,would you,will you,can you,could you,ok,okay,at once,today`),
	}
}
