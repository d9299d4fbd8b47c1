package importwebxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// Bounds of a descriptor. Real ones have a few kilobytes and four levels.
const (
	maxFile     = 1 << 20
	maxDepth    = 32
	maxElements = 50_000
	maxEntities = 1000
)

// element is an element of the file. Names are without their namespace.
type element struct {
	name     string
	text     string // its own, without that of children
	line     int
	children []*element
}

// all returns the children of that name.
func (e *element) all(name string) []*element {
	var out []*element
	for _, c := range e.children {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

// value returns the text of the first child of that name, trimmed.
func (e *element) value(name string) string {
	for _, c := range e.children {
		if c.name == name {
			return c.text
		}
	}
	return ""
}

// document is a parsed file.
type document struct {
	root *element
	// namespace of the root element.
	namespace string
	// recoded names the encoding that was used because the file is not in the
	// one it declares.
	recoded string
}

// parse reads XML into elements. Errors are *Error.
func parse(name string, text []byte) (*document, error) {
	if len(text) > maxFile {
		return nil, nothing("%s: more than %d bytes, which no deployment descriptor has", name, maxFile)
	}
	doc := &document{}
	text, err := doc.unify(text)
	if err != nil {
		return nil, nothing("%s: %v", name, err)
	}
	p := parser{doc: doc, decoder: xml.NewDecoder(bytes.NewReader(text))}
	p.decoder.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // unify has done it
	p.decoder.Entity = map[string]string{}
	if err := p.run(); err != nil {
		return nil, nothing("%s: not XML that can be read: %v", name, err)
	}
	return doc, nil
}

// unify turns the text into UTF-8, whatever it says it is. A file that says
// UTF-8 and is not is taken for one of Windows-1252, of which ISO-8859-1 is a
// part.
func (d *document) unify(text []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(text, []byte{0xFE, 0xFF}), bytes.HasPrefix(text, []byte{0xFF, 0xFE}):
		return unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder().Bytes(text)
	case bytes.HasPrefix(text, []byte{0xEF, 0xBB, 0xBF}):
		text = text[3:]
	}
	declared := declaredEncoding(text)
	var charset encoding.Encoding
	switch strings.ToLower(declared) {
	case "", "utf-8", "utf8", "us-ascii":
		if utf8.Valid(text) {
			return text, nil
		}
		d.recoded = "ISO-8859-1"
		charset = charmap.Windows1252
	case "utf-16", "utf-16le", "utf-16be": // it was readable, so it is not
		d.recoded = "UTF-8"
		return text, nil
	default:
		var err error
		if charset, err = htmlindex.Get(declared); err != nil {
			return nil, fmt.Errorf("encoding %q is unknown", clean(declared))
		}
	}
	return charset.NewDecoder().Bytes(text)
}

// declaredEncoding reads the encoding of an XML declaration.
func declaredEncoding(text []byte) string {
	m := regexp.MustCompile(`^<\?xml[^>]*?\sencoding\s*=\s*["']([^"'>]*)["']`).FindSubmatch(text[:min(len(text), 200)])
	if m == nil {
		return ""
	}
	return strings.TrimSpace(string(m[1]))
}

// parser builds the elements.
type parser struct {
	doc     *document
	decoder *xml.Decoder
	open    []*element
	texts   [][]byte // of open
	count   int
}

func (p *parser) run() error {
	for {
		token, err := p.decoder.Token()
		switch {
		case errors.Is(err, io.EOF):
			if p.doc.root == nil {
				return errors.New("there is no element")
			}
			return nil
		case err != nil:
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if err := p.start(token); err != nil {
				return err
			}
		case xml.EndElement:
			last := len(p.open) - 1
			p.open[last].text = strings.TrimSpace(string(p.texts[last]))
			p.open, p.texts = p.open[:last], p.texts[:last]
		case xml.CharData:
			if len(p.open) > 0 {
				at := len(p.open) - 1
				p.texts[at] = append(p.texts[at], token...)
			}
		case xml.Directive:
			p.entities(token)
		}
	}
}

func (p *parser) start(token xml.StartElement) error {
	line, _ := p.decoder.InputPos()
	e := &element{name: token.Name.Local, line: line}
	if p.count++; p.count > maxElements || len(p.open) >= maxDepth {
		return fmt.Errorf("line %d: more than %d elements, or more than %d levels of them", line, maxElements, maxDepth)
	}
	switch {
	case len(p.open) > 0:
		parent := p.open[len(p.open)-1]
		parent.children = append(parent.children, e)
	case p.doc.root != nil:
		return fmt.Errorf("line %d: a second root element", line)
	default:
		p.doc.root, p.doc.namespace = e, token.Name.Space
	}
	p.open, p.texts = append(p.open, e), append(p.texts, nil)
	return nil
}

// entities lets entities that a document type declares pass as they are
// written: they are not expanded, and where one stands in a value that is
// noticed.
func (p *parser) entities(directive xml.Directive) {
	for _, m := range regexp.MustCompile(`<!ENTITY\s+([A-Za-z_][\w.-]*)\s`).FindAllSubmatch(directive, maxEntities) {
		name := string(m[1])
		p.decoder.Entity[name] = "&" + name + ";"
	}
}

// clean makes text of the file fit for one line of a comment.
func clean(text string) string {
	const most = 100
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return r <= ' ' || r == utf8.RuneError || r >= 0x7F && r < 0xA0 || r == 0x2028 || r == 0x2029 || r == 0xFEFF
	}), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
