package main

import (
	"bytes"
	"image/color"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	width     = 12 * vg.Inch
	rowHeight = 0.24 * vg.Inch
	margins   = 1.5 * vg.Inch
	edge      = 0.15 * vg.Inch
	// inside is how much of its row's height a bar takes.
	inside = 0.76
)

// kinds are the kinds of bars, in the order of the legend. The colors can be
// told apart by those who see red and green alike (Okabe and Ito, 2008), and
// are light enough for black letters.
var kinds = []struct {
	name, label string
	color       color.RGBA
}{
	{"look", "checks", color.RGBA{0xbb, 0xbb, 0xbb, 0xff}},
	{"files", "certificates and other files", color.RGBA{0xf0, 0xe4, 0x42, 0xff}},
	{"etcd", "etcd", color.RGBA{0xe6, 0x9f, 0x00, 0xff}},
	{"kubelet", "kubelet", color.RGBA{0x56, 0xb4, 0xe9, 0xff}},
	{"wait", "waits for the control plane", color.RGBA{0x00, 0xb8, 0x8a, 0xff}},
	{"cluster", "objects in the cluster", color.RGBA{0xdd, 0x99, 0xbf, 0xff}},
}

var (
	between = color.RGBA{0xee, 0xee, 0xee, 0xff} // the command runs, no phase does
	grid    = color.RGBA{0xe6, 0xe6, 0xe6, 0xff}
	mark    = color.RGBA{0xcc, 0x33, 0x11, 0xff}
)

// drawn is the timeline as SVG.
func drawn(t timeline) ([]byte, error) {
	p := plot.New()
	p.Title.Text = t.Title
	p.X.Label.Text = "seconds since the first command"
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font = sans(11)
	}
	p.Title.TextStyle.Font = sans(14)
	p.Title.Padding = 4 * vg.Millimeter
	p.X.Tick.Marker = plot.TickerFunc(everyFive)
	p.Y.Tick.LineStyle.Width, p.Y.LineStyle.Width = 0, 0
	p.Legend.Top = true
	p.Legend.Padding = vg.Millimeter
	for _, k := range kinds {
		p.Legend.Add(k.label, swatch(k.color))
	}
	lines := layout(t)
	p.Add(lines)
	p.Y.Tick.Marker = lines.names()
	p.X.Min, p.X.Max = 0, lines.last()*1.02
	p.Y.Min, p.Y.Max = -lines.height, 0
	canvas := vgsvg.NewWith(vgsvg.UseWH(width, margins+rowHeight*vg.Length(lines.height)))
	p.Draw(draw.Crop(draw.New(canvas), edge, -edge, edge, -edge))
	var out bytes.Buffer
	_, err := canvas.WriteTo(&out)
	return out.Bytes(), err
}

// everyFive marks every fifth second, and names every tenth.
func everyFive(_, to float64) (ticks []plot.Tick) {
	for at := 0; float64(at) <= to; at += 5 {
		tick := plot.Tick{Value: float64(at)}
		if at%10 == 0 {
			tick.Label = strconv.Itoa(at)
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// swatch is a color in the legend.
type swatch color.RGBA

// Thumbnail implements plot.Thumbnailer.
func (s swatch) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(color.RGBA(s), rectangle(c.Min, c.Max))
}

func rectangle(a, b vg.Point) []vg.Point {
	return []vg.Point{a, {X: a.X, Y: b.Y}, b, {X: b.X, Y: a.Y}}
}

// lines is the timeline with a place for each panel, from the top (0) down.
type lines struct {
	panels []placed
	height float64 // in rows
}

type placed struct {
	panel
	top float64 // of its title
}

// layout gives each panel a line for its title and half a line after it.
func layout(t timeline) *lines {
	l := &lines{}
	for _, p := range t.Panels {
		l.panels = append(l.panels, placed{p, -l.height})
		l.height += float64(len(p.Rows)) + 1.5
	}
	return l
}

// y is the middle of a row.
func (p placed) y(row int) float64 { return p.top - float64(row) - 1.5 }

// last is the end of everything.
func (l *lines) last() (end float64) {
	for _, p := range l.panels {
		end = max(end, p.Ready)
		for _, r := range p.Rows {
			end = max(end, r.End)
		}
	}
	return end
}

// names puts the nodes' names at the rows.
func (l *lines) names() (ticks plot.ConstantTicks) {
	for _, p := range l.panels {
		for i, r := range p.Rows {
			ticks = append(ticks, plot.Tick{Value: p.y(i), Label: r.Node})
		}
	}
	return ticks
}
