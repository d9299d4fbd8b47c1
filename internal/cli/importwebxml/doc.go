// Package importwebxml is `halley import`: it turns the deployment descriptor of
// a CometD application (web.xml, CometD 2 to 8) into a halley.yaml that `halley
// serve` accepts, and names whatever it could not carry over and what to do
// about it.
//
// The file is read within bounds and nothing that it refers to is fetched:
// entities are not expanded, a document type is skipped.
package importwebxml
