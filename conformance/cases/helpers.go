package cases

import "regexp"

// errorForm is the form of the error field.
func errorForm() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{3}:[^:]*:.+$`) }

// now asks for an answer to a connect at once.
func now() M { return M{"advice": M{"timeout": 0}} }
