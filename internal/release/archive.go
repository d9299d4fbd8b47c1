package main

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// file is a file of an archive, its name with slashes.
type file struct {
	name       string
	text       []byte
	executable bool
}

func (f file) mode() fs.FileMode {
	if f.executable {
		return 0o755
	}
	return 0o644
}

// pack writes NAME.tar.gz, or NAME.zip, with the files in a folder NAME. What
// the archive says of a file is its name, text, mode and at, in the order of
// the names: nothing of the machine.
func pack(dir, name string, zipped bool, files []file, at time.Time) (err error) {
	path, write := filepath.Join(dir, name+".tar.gz"), writeTar
	if zipped {
		path, write = filepath.Join(dir, name+".zip"), writeZip
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // for all to read
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	return write(out, name+"/", files, at.UTC())
}

func writeTar(w io.Writer, folder string, files []file, at time.Time) error {
	packed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(packed)
	for _, f := range files {
		err := archive.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: folder + f.name, Size: int64(len(f.text)), Mode: int64(f.mode()),
			ModTime: at, Format: tar.FormatUSTAR,
		})
		if err != nil {
			return err
		}
		if _, err := archive.Write(f.text); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), packed.Close())
}

func writeZip(w io.Writer, folder string, files []file, at time.Time) error {
	archive := zip.NewWriter(w)
	for _, f := range files {
		h := &zip.FileHeader{Name: folder + f.name, Method: zip.Deflate, Modified: at}
		h.SetMode(f.mode())
		one, err := archive.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := one.Write(f.text); err != nil {
			return err
		}
	}
	return archive.Close()
}
