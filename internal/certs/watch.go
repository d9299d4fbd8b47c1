package certs

import (
	"os"
	"slices"
	"time"
)

// How often files are looked at, and how often the log repeats its warnings.
const (
	PollEvery = 10 * time.Second
	WarnEvery = 12 * time.Hour
)

// stamp tells versions of a file apart. Links are followed, so that a link that
// is turned to another file, as Kubernetes and certbot do, is a change.
type stamp struct {
	info os.FileInfo // nil: it cannot be read
}

func (s stamp) equal(other stamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime())
}

// fingerprint is that of several files.
type fingerprint []stamp

func (f fingerprint) equal(other fingerprint) bool { return slices.EqualFunc(f, other, stamp.equal) }

func look(files []string) fingerprint {
	all := make(fingerprint, 0, len(files))
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			info = nil
		}
		all = append(all, stamp{info})
	}
	return all
}
