package till_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A program of the README compiles after its commands; the other snippets are from the examples, which go vet compiles.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	client, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	for _, block := range regexp.MustCompile("(?s)```(sh|go)\n(.*?)```\n").FindAllStringSubmatch(string(readme), -1) {
		language, text := block[1], block[2]
		switch {
		case language == "sh":
			run(t, directory, strings.ReplaceAll(text, "/path/to/till/clients/go", client))
		case strings.HasPrefix(text, "package main\n"):
			if err := os.WriteFile(filepath.Join(directory, "coffee", "main.go"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, filepath.Join(directory, "coffee"), "go mod tidy && go vet .")
		case !strings.Contains(unindented(string(examples)), unindented(text)):
			t.Errorf("no example contains this snippet:\n%s", text)
		}
	}
}

func run(t *testing.T, directory, script string) {
	t.Helper()
	command := exec.Command("sh", "-ec", script)
	command.Dir = directory
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%s%v", script, output, err)
	}
}

func unindented(text string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(text, "")
}
